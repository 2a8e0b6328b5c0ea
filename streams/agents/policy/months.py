"""In: policy rows that count all calls. Out: what share of a month's calls is known and governed, as statuses by UTC
month.

The running month and the one before it stand on `governance.status`; older ones are retired. A call counts from when
the first policy, use case or restricted model was applied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Final

from runtime.clock import to_datetime
from schemas.control.base import moment_us
from schemas.status import GOVERNANCE, AsOf, GovernanceStatus, StatusPeriod, status_key
from schemas.tallies import FACETS
from streams.agents.policy.rows import PolicyRow
from streams.agents.watermarks import Moment

_MINUTE_US: Final = 60_000_000
#: Workflows named in a status; there are few of such risk.
_MOST_WORKFLOWS: Final = 500


@dataclass(slots=True)
class Month:
    """Calls and nano-USD by facet."""

    calls: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FACETS, 0))
    cost: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FACETS, 0))
    workflows: list[str] = field(default_factory=list)


class GovernanceMonths:
    """Months by their start in µs. All that are held stand on the topic, or are due there."""

    def __init__(self) -> None:
        self.months: dict[int, Month] = {}
        #: Months that start before this are over and retired.
        self._first = -(2**62)
        self._due: set[int] = set()
        self._retired: set[int] = set()
        self._changed: set[int] = set()

    def add(self, row: PolicyRow) -> None:
        start = month_start(row.minute * _MINUTE_US)
        if start < self._first or row.verdict not in FACETS:
            return
        month = self.months.setdefault(start, Month())
        month.calls[row.verdict] += row.calls
        month.cost[row.verdict] += row.cost
        if row.workflow and row.workflow not in month.workflows and len(month.workflows) < _MOST_WORKFLOWS:
            month.workflows.append(row.workflow)
        self._due.add(start)
        self._changed.add(start)

    def turn(self, watermark_us: int | None) -> None:
        """Retire what ended before the month before the running one."""
        if watermark_us is None:
            return
        self._first = max(self._first, month_start(month_start(watermark_us) - 1))
        for start in [start for start in self.months if start < self._first]:
            del self.months[start]
            self._due.discard(start)
            self._retired.add(start)
            self._changed.add(start)

    def take_statuses(self, moment: Moment, applied: Mapping[int, int], now_us: int) -> list[tuple[str, bytes | None]]:
        """Records for the status topic: months that changed, and tombstones of retired ones."""
        records: list[tuple[str, bytes | None]] = [(_key(start), None) for start in sorted(self._retired)]
        for start in sorted(self._due):
            status = governance_status(start, self.months[start], moment.watermark_us, dict(applied), now_us)
            records.append((_key(start), status.model_dump_json().encode()))
        self._retired.clear()
        self._due.clear()
        return records

    def remember(self, told: Mapping[str, GovernanceStatus]) -> None:
        """After a rebuild: up to here, what was told is what was counted."""
        for start in self.months:
            self._due.discard(start)
            self._changed.add(start)
        self.months = {
            moment_us(status.period.start): Month(
                dict.fromkeys(FACETS, 0) | status.calls,
                dict.fromkeys(FACETS, 0) | status.cost_nanousd,
                list(status.high_risk_workflows),
            )
            for status in told.values()
        } or self.months
        self._due.update(self.months)
        self._changed.update(self.months)

    def mark_all(self) -> None:
        self._changed.update(self.months)

    def take_documents(self) -> dict[str, str | None]:
        documents = {
            f"governance/{start}": json.dumps(asdict(self.months[start])) if start in self.months else None
            for start in self._changed
        }
        self._changed.clear()
        return documents

    def restore(self, documents: Mapping[str, str]) -> None:
        for key, text in documents.items():
            kind, _, start = key.partition("/")
            if kind == "governance":
                self.months[int(start)] = Month(**json.loads(text))


def governance_status(
    start_us: int, month: Month, watermark_us: int | None, offsets: dict[int, int], now_us: int
) -> GovernanceStatus:
    """The status of one UTC month."""
    start = to_datetime(start_us)
    calls = month.calls["all"]
    return GovernanceStatus(
        period=StatusPeriod(kind="month", start=start, end=_next_month(start), time_zone="UTC"),
        calls=dict(month.calls),
        cost_nanousd=dict(month.cost),
        governed_share=month.calls["governed"] / calls if calls else 0.0,
        high_risk_workflows=tuple(sorted(month.workflows)),
        as_of=AsOf(watermark=None if watermark_us is None else to_datetime(watermark_us), offsets=offsets),
        evaluated_at=to_datetime(now_us),
    )


def month_start(us: int) -> int:
    """µs of the first moment of the UTC month that holds the instant."""
    at = to_datetime(us)
    return moment_us(at.replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def _next_month(start: datetime) -> datetime:
    return (start + timedelta(days=32)).replace(day=1)


def _key(start_us: int) -> str:
    return status_key(GOVERNANCE, to_datetime(start_us))
