"""In: corrections of what was counted. Out: messages of `usage.adjustments`, and back.

An adjustment is never an edit: the rows and totals that it corrects stay, and it is added to them. One adjustment is
several messages, all written in one Kafka transaction, each with the header `sg-adjustment`:

- form `tallies`: an Arrow IPC stream of TALLIES (cells by event minute and budget rows by quarter), whose measures are
  differences and may be negative. Each shard of the agents adds those rows whose home it is, once, by the message's
  offset, which it keeps in its checkpoint;
- form `events`: an Arrow IPC stream of ADJUSTED_EVENTS, one row per event. The sink writes them to `usage_adjustments`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Final, Literal

import pyarrow as pa

from schemas.positions import GivenHeaders, PositionError, fits
from schemas.usage import TIMESTAMP

ADJUSTMENT_HEADER: Final = "sg-adjustment"

#: `reprice`: a model that had no price has one. `resend`: an event was counted twice, which ClickHouse keeps once.
AdjustmentKind = Literal["reprice", "resend"]
AdjustmentForm = Literal["tallies", "events"]

#: Differences to one event. `booked_at` is the event time at which totals, views and budgets count them: the event's
#: own in an open month, the time of the correction for a month that is closed.
ADJUSTED_EVENTS: Final = pa.schema(
    [
        pa.field("log", pa.utf8(), nullable=False),
        pa.field("src_partition", pa.int32(), nullable=False),
        pa.field("src_offset", pa.int64(), nullable=False),
        pa.field("src_index", pa.int32(), nullable=False),
        pa.field("source", pa.utf8(), nullable=False),
        pa.field("event_id", pa.utf8(), nullable=False),
        pa.field("occurred_at", TIMESTAMP, nullable=False),
        pa.field("booked_at", TIMESTAMP, nullable=False),
        pa.field("team_id", pa.utf8()),
        pa.field("department", pa.utf8()),
        pa.field("cost_center", pa.utf8()),
        pa.field("project_id", pa.utf8()),
        pa.field("use_case", pa.utf8()),
        pa.field("stage", pa.utf8()),
        pa.field("model", pa.utf8(), nullable=False),
        pa.field("model_class", pa.utf8()),
        pa.field("calls", pa.int64(), nullable=False),
        pa.field("input_tokens", pa.int64(), nullable=False),
        pa.field("output_tokens", pa.int64(), nullable=False),
        pa.field("cost_nanousd", pa.int64(), nullable=False),
        pa.field("provisional_nanousd", pa.int64(), nullable=False),
        pa.field("rate_card", pa.utf8(), nullable=False),
        #: Difference of the count of unpriced calls: -1 where a call of an open month has a price now.
        pa.field("unpriced", pa.int64(), nullable=False),
        #: Since version 3: what budgets select by beside a cell's dimensions.
        pa.field("workflow", pa.utf8()),
        pa.field("user_hash", pa.utf8()),
        pa.field("role", pa.utf8()),
        pa.field("criticality", pa.utf8()),
        pa.field("data_class", pa.utf8()),
    ]
)


@dataclass(frozen=True, slots=True)
class AdjustmentPart:
    """What the header of one message says. `adjustment_id` is the same on every part; `part` counts from 0."""

    adjustment_id: str
    kind: AdjustmentKind
    form: AdjustmentForm
    part: int
    parts: int
    reason: str
    made_by: str
    made_at: datetime

    def header(self) -> tuple[str, bytes]:
        values = asdict(self) | {"made_at": self.made_at.isoformat()}
        return ADJUSTMENT_HEADER, json.dumps(values, separators=(",", ":")).encode()


def read_adjustment(headers: GivenHeaders) -> AdjustmentPart:
    """Raises PositionError for a message that is no adjustment. Fields that a newer writer added are passed over."""
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    raw = next((value for key, value in pairs if key == ADJUSTMENT_HEADER and isinstance(value, bytes)), None)
    if raw is None:
        raise PositionError(f"header {ADJUSTMENT_HEADER} is missing: this message is no adjustment")
    try:
        given = json.loads(raw)
        known = {one.name: given[one.name] for one in fields(AdjustmentPart)}
        for one in fields(AdjustmentPart):
            if one.name != "made_at" and not fits(str(one.type), known[one.name]):
                raise ValueError(f"{one.name} is {str(known[one.name])[:60]}")
        return AdjustmentPart(**known | {"made_at": datetime.fromisoformat(known["made_at"])})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PositionError(f"header {ADJUSTMENT_HEADER} is unreadable: {raw[:200]!r}") from error
