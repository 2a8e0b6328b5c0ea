"""In: messages of `usage.rejected`, `usage.adjustments`, `governance.alerts` and `governance.status`. Out: the columns
of their tables.

A value that cannot be read is told apart, so that its neighbours pass; these topics are written by our own roles, so
such a value is a defect or a foreigner, and is logged and counted, not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
from pydantic import BaseModel, TypeAdapter, ValidationError

from schemas.adjustments import ADJUSTED_EVENTS, read_adjustment
from schemas.alerts import Alert, AlertScope, Cause, Link
from schemas.arrow_ipc import from_ipc
from schemas.positions import GivenHeaders
from schemas.rejections import Rejection
from schemas.status import GOVERNANCE, BudgetStatus
from schemas.usage import TIMESTAMP

_TEXT: Final = pa.utf8()
_COUNT: Final = pa.int64()
_GOVERNANCE: Final = f"{GOVERNANCE}|".encode()
#: Fields of an alert that are columns of their own or JSON.
_NESTED: Final = ("scope", "window", "explanation", "carried_by", "links", "exception")
_CAUSES: Final = TypeAdapter(tuple[Cause, ...])
_LINKS: Final = TypeAdapter(tuple[Link, ...])
_SCOPE: Final = ("department", "team_id", "project_id", "use_case", "stage", "model_class")
#: What budgets may be cut by besides.
_WIDER_SCOPE: Final = ("workflow", "role", "criticality", "data_class")
_STATUS_SCOPE: Final = (*_SCOPE, *_WIDER_SCOPE)
#: What alerts have besides: a source that is silent or whose events are refused.
_ALERT_SCOPE: Final = (*_SCOPE, "source", *_WIDER_SCOPE)


@dataclass(frozen=True, slots=True)
class Record:
    """One message: where it stands, when the broker took it, and what it says. `value` None: a tombstone."""

    offset: int
    key: bytes | None
    value: bytes | None
    appended_us: int
    headers: GivenHeaders = None

    @property
    def size(self) -> int:
        """Bytes of its value."""
        return len(self.value or b"")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One message that is not what its topic promises."""

    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class Rows:
    """What a batch of records became."""

    table: pa.Table
    unreadable: tuple[Unreadable, ...] = ()


def _schema(texts: Iterable[str], nullable_texts: Iterable[str] = (), **others: pa.DataType) -> pa.Schema:
    return pa.schema(
        [
            *(pa.field(name, _TEXT, nullable=False) for name in texts),
            *(pa.field(name, _TEXT) for name in nullable_texts),
            *(pa.field(name, kind) for name, kind in others.items()),
        ]
    )


REJECTED: Final = _schema(
    ["log", "topic", "code", "message", "raw", "raw_sha256"],
    ["source", "event_id"],
    partition=pa.int32(),
    offset=_COUNT,
    index=pa.int32(),
    appended_at=TIMESTAMP,
    raw_bytes=_COUNT,
    raw_truncated=pa.bool_(),
    inserted_at=TIMESTAMP,
)
ALERTS: Final = _schema(
    ["alert_id", "kind", "state", "severity", "unit", "summary", "explanation", "suggested_action", "links"],
    [
        *_ALERT_SCOPE,
        *("owner", "contact", "budget_id", "level", "mode"),
        *("exception_id", "step", "decided_by", "policy_rule", "policy_verdict"),
        *("behind", "incident", "confidence", "activity", "said"),
    ],
    carried_by=_TEXT,
    uncarried_share=pa.float64(),
    impact=_COUNT,
    impact_per_day=_COUNT,
    revision=pa.uint32(),
    one_person=pa.bool_(),
    extra=_COUNT,
    used_of_extra=_COUNT,
    historical=pa.bool_(),
    window_start=TIMESTAMP,
    window_end=TIMESTAMP,
    observed=_COUNT,
    expected=_COUNT,
    limit=_COUNT,
    unexplained_share=pa.float64(),
    occurred_at=TIMESTAMP,
    evaluated_at=TIMESTAMP,
    inserted_at=TIMESTAMP,
)
STATUS: Final = _schema(
    ["budget_id", "period_kind", "time_zone", "rule", "unit", "state", "mode"],
    [*_STATUS_SCOPE, "owner", "contact", "state_reason", "acknowledged_by"],
    period_start=TIMESTAMP,
    period_end=TIMESTAMP,
    used=_COUNT,
    provisional=_COUNT,
    limit=_COUNT,
    extra=_COUNT,
    plan=_COUNT,
    used_share=pa.float64(),
    calls=_COUNT,
    would_stop=pa.bool_(),
    forecast_p10=_COUNT,
    forecast_p50=_COUNT,
    forecast_p90=_COUNT,
    chance_of_exceeding=pa.float64(),
    exhausted_on=TIMESTAMP,
    watermark=TIMESTAMP,
    evaluated_at=TIMESTAMP,
    inserted_at=TIMESTAMP,
)
ADJUSTMENTS: Final = pa.schema(
    [
        *ADJUSTED_EVENTS,
        *(pa.field(name, _TEXT, nullable=False) for name in ("adjustment_id", "kind", "reason", "made_by")),
        pa.field("made_at", TIMESTAMP, nullable=False),
        pa.field("position", _COUNT, nullable=False),
        pa.field("inserted_at", TIMESTAMP, nullable=False),
    ]
)


def rejected_rows(records: Sequence[Record], log_of: Callable[[str], str], now_us: int) -> Rows:
    """Rows of `usage_rejected`; `log_of` tells the identity of the log that a topic's offsets count in."""

    def row(record: Record) -> dict[str, Any]:
        rejection = Rejection.model_validate_json(record.value or b"")
        return rejection.model_dump(exclude={"schema_version", "appended_at_us"}) | {
            "log": log_of(rejection.topic),
            "appended_at": rejection.appended_at_us,
            "inserted_at": now_us,
        }

    return _rows(records, row, REJECTED)


def adjustment_rows(records: Sequence[Record], now_us: int) -> Rows:
    """Rows of `usage_adjustments`: those of the form `events`; the form `tallies` is the agents'."""
    tables, unreadable = [ADJUSTMENTS.empty_table()], []
    for record in records:
        try:
            part = read_adjustment(record.headers)
            if part.form != "events":
                continue
            events = from_ipc(record.value, ADJUSTED_EVENTS)
        except ValueError as error:
            # PositionError and UnreadableBlock.
            unreadable.append(Unreadable(record.offset, str(error)))
            continue
        same = {
            "adjustment_id": part.adjustment_id,
            "kind": part.kind,
            "reason": part.reason,
            "made_by": part.made_by,
            "made_at": part.made_at,
            "position": record.offset,
            "inserted_at": now_us,
        }
        for name, value in same.items():
            field = ADJUSTMENTS.field(name)
            events = events.append_column(field, pa.repeat(pa.scalar(value, field.type), events.num_rows))
        tables.append(events)
    return Rows(pa.concat_tables(tables), tuple(unreadable))


def alert_rows(records: Sequence[Record], now_us: int) -> Rows:
    """Rows of `governance_alerts`."""

    def row(record: Record) -> dict[str, Any]:
        alert = Alert.model_validate_json(record.value or b"")
        exception = alert.exception
        return {
            **alert.model_dump(exclude={*_NESTED, "schema_version"}),
            **_scope(alert.scope, _ALERT_SCOPE),
            "one_person": alert.scope.one_person is True,
            "exception_id": exception and exception.id,
            "step": exception and exception.step,
            "decided_by": exception and exception.by,
            "extra": exception and exception.extra,
            "used_of_extra": exception and exception.used_of_extra,
            "window_start": alert.window.start,
            "window_end": alert.window.end,
            "explanation": _CAUSES.dump_json(alert.explanation).decode(),
            "carried_by": _CAUSES.dump_json(alert.carried_by).decode(),
            "links": _LINKS.dump_json(alert.links).decode(),
            "inserted_at": now_us,
        }

    return _rows(records, row, ALERTS)


def status_rows(records: Sequence[Record], now_us: int) -> Rows:
    """Rows of `governance_status`; a tombstone retires its period."""

    def row(record: Record) -> dict[str, Any]:
        if record.value is None:
            return _retired(record, now_us)
        status = BudgetStatus.model_validate_json(record.value)
        forecast = status.forecast
        return {
            **_plain(status, {"schema_version", "scope", "period", "levels", "forecast", "exceptions", "as_of"}),
            **_scope(status.scope, _STATUS_SCOPE),
            "acknowledged_by": status.acknowledged and status.acknowledged.by,
            "period_start": status.period.start,
            "period_end": status.period.end,
            "period_kind": status.period.kind,
            "time_zone": status.period.time_zone,
            "forecast_p10": forecast and forecast.p10,
            "forecast_p50": forecast and forecast.p50,
            "forecast_p90": forecast and forecast.p90,
            "chance_of_exceeding": forecast and forecast.chance_of_exceeding,
            "exhausted_on": forecast and forecast.exhausted_on,
            "watermark": status.as_of.watermark,
            "inserted_at": now_us,
        }

    # What share of all calls is governed is no budget: analysts have it from the events themselves.
    budgets = [one for one in records if not (one.key or b"").startswith(_GOVERNANCE)]
    return _rows(budgets, row, STATUS)


def _retired(record: Record, now_us: int) -> dict[str, Any]:
    budget_id, _, start = (record.key or b"").decode().rpartition("|")
    values: dict[str, Any] = {field.name: None for field in STATUS}
    values |= dict.fromkeys(("period_kind", "time_zone", "rule", "unit", "mode"), "")
    values |= dict.fromkeys(("used", "provisional", "limit", "extra", "used_share", "calls"), 0)
    return values | {
        "budget_id": budget_id,
        "period_start": datetime.fromisoformat(start),
        "state": "retired",
        "would_stop": False,
        "evaluated_at": record.appended_us,
        "inserted_at": now_us,
    }


def _plain(model: BaseModel, exclude: set[str]) -> dict[str, Any]:
    return model.model_dump(exclude=exclude)


def _scope(scope: AlertScope, columns: Sequence[str]) -> dict[str, Any]:
    """The scope's `team` and `project` are `team_id` and `project_id` in every table."""
    values = scope.model_dump()
    return {name: values[name.removesuffix("_id")] for name in columns}


def _rows(records: Sequence[Record], row: Callable[[Record], dict[str, Any]], schema: pa.Schema) -> Rows:
    rows: list[dict[str, Any]] = []
    unreadable = []
    for record in records:
        try:
            values = row(record)
            _check_ranges(values, schema)
            rows.append(values)
        except (ValidationError, UnicodeDecodeError, ValueError, OverflowError) as error:
            unreadable.append(Unreadable(record.offset, str(error)))
    columns = [pa.array([values[field.name] for values in rows], field.type) for field in schema]
    return Rows(pa.Table.from_arrays(columns, schema=schema), tuple(unreadable))


def _check_ranges(values: dict[str, Any], schema: pa.Schema) -> None:
    """Raises ValueError for what the contracts accept and a column cannot hold: a number beyond its width."""
    for field in schema:
        value = values[field.name]
        if not isinstance(value, int) or isinstance(value, bool):
            continue
        bits = 64 if pa.types.is_timestamp(field.type) else field.type.bit_width
        least = 0 if pa.types.is_unsigned_integer(field.type) else -(1 << (bits - 1))
        if not least <= value < least + (1 << bits):
            raise ValueError(f"{field.name} is {value}, which its column cannot hold")
