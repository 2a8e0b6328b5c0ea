"""In: what to price anew. Out: adjustments on `usage.adjustments`, one per stretch of events, and the sums of them.

For each stretch: read its events from ClickHouse; price them; publish the differences in one transaction. A crash
leaves each stretch corrected or not, and the next command passes over those that are: it first waits until ClickHouse
has them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from schemas.control.base import us_moment
from schemas.control.snapshot import ControlSnapshot
from schemas.prices.card import Provisional, RateCard
from sinks.corrections.adjustments import STRETCH_EVENTS, Wanted, events_to_price, stretches
from sinks.database import Database
from streamgauge.adjusting.deltas import Booking, deltas_of
from streamgauge.adjusting.tallies import tallies_of
from streamgauge.adjusting.writer import Adjustment, AdjustmentWriter


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line of what is done: events of one month and model that are booked in one way."""

    month: date
    model: str
    is_closed: bool


@dataclass(slots=True)
class Sum:
    """What a line adds up to, nano-USD."""

    events: int = 0
    released: int = 0
    cost: int = 0
    teams: set[str | None] = field(default_factory=set)


@dataclass(slots=True)
class Report:
    """What was done, or would be."""

    lines: dict[Line, Sum] = field(default_factory=lambda: defaultdict(Sum))
    adjustments: list[str] = field(default_factory=list)
    rate_card: str = ""

    @property
    def events(self) -> int:
        return sum(one.events for one in self.lines.values())

    @property
    def cost(self) -> int:
        return sum(one.cost for one in self.lines.values())

    def add(self, deltas: pa.Table) -> None:
        """Count the events of one stretch."""
        groups = (
            pa.table(
                {
                    "month": pc.strftime(deltas["occurred_at"], format="%Y-%m-01"),
                    "model": deltas["model"],
                    "closed": pc.not_equal(deltas["booked_at"], deltas["occurred_at"]),
                    "team": deltas["team_id"],
                    "cost": deltas["cost_nanousd"],
                    "provisional": deltas["provisional_nanousd"],
                }
            )
            .group_by(["month", "model", "closed", "team"])
            .aggregate([("cost", "sum"), ("provisional", "sum"), ("cost", "count")])
        )
        for row in groups.to_pylist():
            one = self.lines[Line(date.fromisoformat(row["month"]), row["model"], row["closed"])]
            one.events += row["cost_count"]
            one.cost += row["cost_sum"]
            one.released -= row["provisional_sum"]
            one.teams.add(row["team"])


@dataclass(frozen=True, slots=True)
class Reprice:
    """One command. `reason` and `made_by` stand on every adjustment."""

    wanted: Wanted
    booking: Booking
    reason: str
    made_by: str
    stretch_events: int = STRETCH_EVENTS

    def look(self, database: Database, snapshot: ControlSnapshot, provisional: Provisional) -> Report:
        """What `write` would do now; nothing is changed."""
        report = Report()
        for deltas in self._deltas(database, snapshot, provisional, report, people=False):
            report.add(deltas)
        return report

    def write(
        self,
        database: Database,
        snapshot: ControlSnapshot,
        provisional: Provisional,
        writer: AdjustmentWriter,
        wrote: Callable[[str, int], None] = lambda _id, _events: None,
    ) -> Report:
        """Publish. `writer` is open, and ClickHouse has all earlier adjustments. Raises Fenced. `database` may read
        whose call an event was: budgets of one person are corrected too.

        `wrote` is told each adjustment that stands, with its count of events.
        """
        report = Report()
        made_at = us_moment(self.booking.now_us)
        for deltas in self._deltas(database, snapshot, provisional, report, people=True):
            adjustment = Adjustment.new("reprice", reason=self.reason, made_by=self.made_by, made_at=made_at)
            writer.publish(adjustment, deltas, tallies_of(deltas, snapshot.budgets.values()))
            report.add(deltas)
            report.adjustments.append(adjustment.adjustment_id)
            wrote(adjustment.adjustment_id, deltas.num_rows)
        return report

    def _deltas(
        self,
        database: Database,
        snapshot: ControlSnapshot,
        provisional: Provisional,
        report: Report,
        *,
        people: bool,
    ) -> Iterator[pa.Table]:
        card = RateCard.compile(snapshot.prices, provisional)
        report.rate_card = card.label
        for since, until in stretches(database, self.wanted, self.stretch_events):
            deltas = deltas_of(events_to_price(database, self.wanted, since, until, people=people), card, self.booking)
            if deltas.num_rows:
                yield deltas


def first_of_month(moment: datetime) -> datetime:
    """The moment before which months are closed, as a rule: the first of the current month, UTC."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
