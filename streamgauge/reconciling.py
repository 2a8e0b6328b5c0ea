"""In: settings. Out: a run of reconcile, and its correction: what was lost is put back, what was counted twice is taken
out.

A correction goes in these steps:

1. fence every other command that corrects, and wait until ClickHouse has all earlier adjustments;
2. judge, looking into every range that is off;
3. put back what is missing (`sinks.reconcile.mend`);
4. publish one adjustment for all resends: the opposite of what enrich counted, in the same cells, budgets and periods;
5. wait until ClickHouse has it, and judge again.

A crash before 3 changes nothing; within 3, the next run finds the rest; before the commit in 4 nothing of the
adjustment is there, and after it the next run waits in 1 until ClickHouse knows that these resends are settled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import KafkaException
from pydantic import ValidationError

from runtime.clock import Clock, to_datetime
from runtime.connection import KafkaConnection
from runtime.control_log import ControlLog
from schemas.adjustments import ADJUSTED_EVENTS
from schemas.enriched import ENRICHED
from schemas.status import GOVERNANCE, BudgetStatus
from schemas.tallies import MEASURES, TALLIES
from schemas.topics import Topics
from sinks.corrections.adjustments import with_people
from sinks.reconcile.mend import Mended, Mender
from sinks.reconcile.run import PATIENCE_S, Judged, Reconciler
from streamgauge.adjusting import Adjustment, AdjustmentWriter, tallies_of, wait_until_written
from streamgauge.adjusting.tallies import SELECTABLE
from streamgauge.tail import TopicMissing, read_topic

if TYPE_CHECKING:
    from sinks.database import Database

_REASON: Final = "sent again beyond the dedupe horizon or into another partition"


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction did. `resends`: events that were taken out of totals and budgets."""

    mended: Mended
    resends: int


@dataclass(frozen=True, slots=True)
class Reconciling:
    """Where everything is. `database` reads; for `correct` it must write too. `records_group`: the consumer group that
    writes usage_rejected. `tell` takes one sentence about what is waited for or left out.
    """

    database: Database
    connection: KafkaConnection
    topics: Topics
    clock: Clock
    records_group: str
    tell: Callable[[str], None]
    patience_s: float = PATIENCE_S

    def judge(self, since_us: int | None, *, quick: bool = False) -> Judged:
        return self._reconciler().judge(since_us, quick=quick)

    def correct(self, since_us: int | None, *, quick: bool = False) -> tuple[Judged, Corrected]:
        """The report afterwards, and what was done. Raises Fenced and NotWritten (streamgauge.adjusting)."""
        reconciler = self._reconciler()
        with AdjustmentWriter(self.connection, self.topics) as writer:
            wait_until_written(writer, self.database, self.clock, self.tell)
            judged = reconciler.judge(since_us, quick=quick, most_ranges=None)
            mended = Mender(self.database, self.connection, self.topics, self.clock).mend(judged)
            events, tallies = self._resends(judged)
            if events.num_rows:
                made_at = to_datetime(self.clock.now_us())
                adjustment = Adjustment.new("resend", reason=_REASON, made_by="reconcile", made_at=made_at)
                writer.publish(adjustment, events, tallies)
                wait_until_written(writer, self.database, self.clock, self.tell)
        return reconciler.judge(since_us, quick=quick), Corrected(mended, events.num_rows)

    def _reconciler(self) -> Reconciler:
        return Reconciler(
            self.database,
            self.connection,
            self.topics,
            self.clock,
            self._statuses,
            self.records_group,
            self.patience_s,
        )

    def _resends(self, judged: Judged) -> tuple[pa.Table, pa.Table]:
        """ADJUSTED_EVENTS and TALLIES of all resends. Budgets are those by which each range was enriched: others never
        counted it.
        """
        events, tallies = [ADJUSTED_EVENTS.empty_table()], [TALLIES.empty_table()]
        resent = [one for one in judged.examined if one.resent.num_rows and one.gap.log == judged.log]
        if resent:
            log = ControlLog(self.connection, self.topics.control)
            try:
                log.read_to_end()
                for control in sorted({one.gap.control for one in resent}):
                    rows = self._with_people([one.resent for one in resent if one.gap.control == control], judged.log)
                    events.append(adjusted_events(rows, judged.log))
                    tallies.append(tallies_of(_deltas(rows), log.at(control).budgets.values()))
            finally:
                log.close()
        return pa.concat_tables(events), pa.concat_tables(tallies)

    def _with_people(self, resent: Sequence[pa.Table], log: str) -> pa.Table:
        """The rows of all tables, each with `user_hash`: what was read back from Kafka has it, other rows are asked."""
        found = []
        for rows in resent:
            if "user_hash" not in rows.column_names:
                times = pc.min_max(rows["occurred_at"].cast(pa.int64())).as_py()
                named = rows.append_column("log", pa.repeat(pa.scalar(log), rows.num_rows))
                named = with_people(self.database, named, to_datetime(times["min"]), to_datetime(times["max"] + 1))
                rows = rows.append_column("user_hash", named["user_hash"])  # noqa: PLW2901
            found.append(rows.select(ENRICHED.names).cast(ENRICHED))
        return pa.concat_tables(found)

    def _statuses(self) -> Sequence[BudgetStatus]:
        newest = self._newest(self.topics.status)
        try:
            # What is retired there may stand on the other: a budget that is no longer one person's.
            newest |= {key: value for key, value in self._newest(self.topics.status_users).items() if value is not None}
        except (TopicMissing, KafkaException) as error:
            self.tell(f"budgets about one person are not judged: {self.topics.status_users} may not be read ({error})")
        found = []
        for key, value in newest.items():
            if value is None or key.startswith(f"{GOVERNANCE}|".encode()):
                continue
            try:
                found.append(BudgetStatus.model_validate_json(value))
            except ValidationError as error:
                self.tell(f"status {key.decode(errors='replace')} cannot be read: {error.errors()[0]['msg']}")
        return found

    def _newest(self, topic: str) -> dict[bytes, bytes | None]:
        return {record.key: record.value for record in read_topic(self.connection, topic) if record.key is not None}


def adjusted_events(rows: pa.Table, log: str) -> pa.Table:
    """One row for each resent event, with all that it added as a negative figure, booked at its own time."""
    measures = _deltas(rows)
    given = {
        **{name: rows[name] for name in rows.column_names},
        **{name: measures[name] for name in measures.column_names},
        "log": pa.repeat(pa.scalar(log), rows.num_rows),
    }
    columns = [given[field.name].cast(field.type) for field in ADJUSTED_EVENTS]
    return pa.Table.from_arrays(columns, schema=ADJUSTED_EVENTS)


def _deltas(rows: pa.Table) -> pa.Table:
    """The opposite of what enrich counted for these rows, as `tallies_of` takes it."""
    one = pa.chunked_array([pa.repeat(pa.scalar(1, pa.int64()), rows.num_rows)])
    counted = {
        "calls": one,
        "errors": pc.equal(rows["status"], "error").cast(pa.int64()),
        "late": rows["late"].cast(pa.int64()),
        "unpriced": pc.is_null(rows["cost_nanousd"]).cast(pa.int64()),
    }
    columns = {"booked_at": rows["occurred_at"], **{name: rows[name] for name in SELECTABLE}}
    for name in MEASURES:
        values = counted[name] if name in counted else pc.fill_null(rows[name], 0)
        columns[name] = pc.negate(values)
    return pa.table(columns)
