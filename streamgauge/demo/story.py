"""In: a seed and a size. Out: the demo's report, made by the real house: broker, ClickHouse and all roles, on a folder
of its own.

1. start the house on free ports and a temporary folder, so that a running `streamgauge up` is not disturbed;
2. apply the company's documents and what it has planned, as a person would;
3. send its month in chunks of event time, at an even pace; stand still where a spike is being looked into, since hours
   of it pass in a moment here;
4. wait until all of it has come out at the other end;
5. compare: sums, incidents with alerts, and ask three questions.
A crash or Ctrl-C anywhere stops the house and removes the folder.
"""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from runtime.control_log import ControlLog
from sources.bulk import BulkProducer
from sources.fleet import Fleet, house_files
from streamgauge.apply import load_files, make_plan, publish_plan
from streamgauge.asking import Answer, open_database
from streamgauge.demo.lookout import Lookout
from streamgauge.demo.matching import match_alerts
from streamgauge.demo.report import Question, Report
from streamgauge.demo.watcher import Watcher
from streamgauge.local.house import House, HousePlan

if TYPE_CHECKING:
    from sinks.database import Database
    from streamgauge.demo.view import View
    from streamgauge.demo.watcher import Seen

#: Everything must have come out this long after the last event went in.
DRAIN_DEADLINE_S: Final = 150.0
#: Enrich says after five seconds that a partition is idle; only then do the agents close the last buckets.
IDLE_S: Final = 7.0
#: An alert is on its way from the agents' transaction to us for no longer than this.
QUIET_S: Final = 2.0
QUESTIONS: Final = ("1_cost_per_outcome.sql", "2_showback.sql", "3_trend.sql")
_TICK_S: Final = 0.25


class DemoError(RuntimeError):
    """The pipeline did not finish in time; the message has what was missing."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """`send_s`: over how many seconds the month is spread."""

    seed: int = 1
    events: int = 400_000
    send_s: float = 75.0
    days: int = 30


def run_demo(plan: DemoPlan, view: View) -> Report:
    """Raises DemoError, HouseError, or whatever a part could not do."""
    began = time.monotonic()
    view.step("planning a month of a company that does not exist")
    fleet = Fleet(plan.seed, datetime.now(UTC), plan.days, plan.events)
    with tempfile.TemporaryDirectory(prefix="streamgauge-demo-") as folder:
        house_plan = HousePlan(
            data_dir=Path(folder),
            kafka_port=None,
            http_port=None,
            # Its events are up to a month old and yet its alerts are to be seen, not filed as history.
            environment={"STREAMGAUGE_AGENTS__HISTORICAL_AFTER_S": str((plan.days + 10) * 86_400)},
            publish=False,
        )
        view.step("starting broker, ClickHouse, enrich, agents and sink")
        with House(house_plan) as house:
            _apply(house, fleet, Path(folder), view)
            with Watcher(house.connection, house.topics) as watcher, open_database(house.reader) as database:
                sent = _send(fleet, house, watcher, plan.send_s, view)
                seen, rows = _drain(house, watcher, database, sent, view)
                view.step("asking ClickHouse")
                questions = ask_questions(database)
        return Report(
            seed=plan.seed,
            sent=sent,
            seen=seen,
            rows=rows,
            expected=fleet.expected,
            matching=match_alerts(fleet.incidents, seen.alerts),
            questions=questions,
            seconds=time.monotonic() - began,
        )


def _apply(house: House, fleet: Fleet, folder: Path, view: View) -> None:
    view.step("applying its directory, use cases, model catalogue, budgets, prices and planned activities")
    planned = folder / "planned.yaml"
    documents = [one.model_dump(mode="json", exclude_defaults=True) | {"kind": one.kind} for one in fleet.activities]
    planned.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    loaded = load_files((*house_files(), planned), house.state.user_key().encode())
    log = ControlLog(house.connection, house.topics.control)
    try:
        publish_plan(make_plan(loaded, log.read_to_end()), house.connection, house.topics)
    finally:
        log.close()


def _send(fleet: Fleet, house: House, watcher: Watcher, send_s: float, view: View) -> int:
    """Events acknowledged by Kafka."""
    view.step(f"sending {fleet.total_events:,} events of {(fleet.end - fleet.start).days} days")
    began, lookout = time.monotonic(), Lookout(fleet.incidents)
    with (
        BulkProducer(house.connection, house.topics.events) as usage,
        BulkProducer(house.connection, house.topics.outcomes, event="outcome_event") as outcomes,
    ):
        for chunk in fleet.chunks():
            usage.send_messages(chunk.messages(usage.partitions))
            outcomes.send_messages(chunk.outcome_messages(outcomes.partitions))
            while (incident := lookout.awaited(chunk.starts_at, chunk.ends_at, watcher.seen().alerts)) is not None:
                house.watch()
                usage.flush()
                view.sent(usage.sent, fleet.total_events, watcher.seen())
                time.sleep(_TICK_S)
                lookout.waited(incident, _TICK_S)
                began += _TICK_S
            due = began + send_s * (chunk.index + 1) / fleet.chunk_count
            while True:
                house.watch()
                view.sent(usage.sent, fleet.total_events, watcher.seen())
                left = due - time.monotonic()
                if left <= 0:
                    break
                time.sleep(min(left, _TICK_S))
        usage.flush()
        outcomes.flush()
        return usage.delivered


def _drain(house: House, watcher: Watcher, database: Database, sent: int, view: View) -> tuple[Seen, int]:
    """Wait until every event is accounted for and in ClickHouse, and the agents have nothing more to say."""
    view.step("waiting until the last event has come out at the other end")
    deadline = time.monotonic() + DRAIN_DEADLINE_S
    drained_at = idle_at = math.inf
    while True:
        house.watch()
        seen, now = watcher.seen(), time.monotonic()
        view.sent(sent, sent, seen)
        rows = int(database.query(_sql("rows.sql"))[0][0])
        if seen.read >= sent and rows >= seen.enriched:
            drained_at = min(drained_at, now)
        if now > drained_at + IDLE_S and house.is_idle("agents"):
            idle_at = min(idle_at, now)
        if now > idle_at + QUIET_S:
            return seen, rows
        if now > deadline:
            raise DemoError(
                f"{DRAIN_DEADLINE_S:.0f} s after the last event {seen.read:,} of {sent:,} events were read, {rows:,} "
                f"of {seen.enriched:,} enriched ones were in ClickHouse, and the agents had "
                f"{'' if house.is_idle('agents') else 'not '}read all sums: a role is too slow or stuck"
            )
        time.sleep(_TICK_S)


def ask_questions(database: Database) -> tuple[Question, ...]:
    """The three questions of `questions/`: the first comment line of each file is its title."""
    asked = []
    for name in QUESTIONS:
        sql = _sql(name)
        title = sql.splitlines()[0].removeprefix("--").strip()
        result = database.client.query(sql)
        asked.append(Question(title, sql, Answer(tuple(result.column_names), result.result_rows)))
    return tuple(asked)


def _sql(name: str) -> str:
    return resources.files("streamgauge.demo").joinpath("questions", name).read_text(encoding="utf-8")
