"""What reviews read of ClickHouse: workflows that pass the sieve, their hours, spikes of their teams, weeks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from runtime.clock import FixedClock
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.migrate import has_access_control, migrate
from sinks.reviews.reading import Reading, Sieve, WeekRow
from tests.support.blocks import NOON_US, enriched_table

LOG = "cluster/topic"
HOUR_US = 3_600_000_000
#: The hour of noon, Monday 2026-03-02.
NOON = NOON_US // HOUR_US
MONDAY = NOON - 12
USD = 1_000_000_000
SIEVE = Sieve(NOON - 35 * 24, NOON, 1.5, 5, 100 * USD)


@pytest.fixture(scope="module")
def shared(clickhouse: Any) -> Iterator[Database]:
    target = ClickHouseTarget(
        clickhouse.host, clickhouse.port, "writer", clickhouse.writer_password, database="reviews"
    )
    with Database.open(target, create=True) as opened:
        migrate(opened, FixedClock(NOON_US), has_access_control=has_access_control(opened))
        yield opened


class Table:
    """Calls put into ClickHouse, with offsets of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._blocks: list[pa.Table] = []
        self.next = 0

    def put(self, hours: range, count: int, **columns: Any) -> None:
        """`count` calls in each hour."""
        for hour in hours:
            self._blocks.append(
                enriched_table(
                    count,
                    first=self.next,
                    **{"occurred_at": hour * HOUR_US, "workflow": "w", "workflow_version": "v1", **columns},
                )
            )
            self.next += count

    def send(self) -> None:
        rows = pa.concat_tables(self._blocks)
        self._blocks = []
        self._database.insert("usage_events_raw", rows.append_column("log", pa.array([LOG] * rows.num_rows)))

    def reading(self, below: int | None = None) -> Reading:
        return Reading(self._database, LOG, {0: self.next if below is None else below})


@pytest.fixture
def table(shared: Database) -> Table:
    for name in ("usage_events_raw", "usage_outcomes", "governance_alerts"):
        shared.command(f"TRUNCATE TABLE {name}")
    return Table(shared)


def test_the_sieve_lets_pass_what_rose_and_costs_enough(table: Table) -> None:
    before, after = range(NOON - 96, NOON - 6), range(NOON - 6, NOON)
    cheap, dear = USD // 10, USD // 2
    table.put(before, 5, workflow="dearer", cost_nanousd=cheap)
    table.put(after, 5, workflow="dearer", cost_nanousd=dear)
    table.put(before, 5, workflow="same", cost_nanousd=cheap)
    table.put(after, 5, workflow="same", cost_nanousd=cheap)
    table.put(before, 5, workflow="rare", cost_nanousd=cheap)
    table.put(after, 4, workflow="rare", cost_nanousd=dear)
    table.put(before, 5, workflow="pennies", cost_nanousd=10)
    table.put(after, 5, workflow="pennies", cost_nanousd=50)
    table.put(before, 5, workflow="unpriced", team_id=None, cost_nanousd=None, provisional_nanousd=cheap)
    table.put(after, 5, workflow="unpriced", team_id=None, cost_nanousd=None, provisional_nanousd=dear)
    table.put(before, 5, workflow=None, cost_nanousd=cheap)
    table.put(after, 5, workflow=None, cost_nanousd=dear)
    early = table.next
    table.put(before, 5, workflow="later", cost_nanousd=cheap)
    table.put(after, 5, workflow="later", cost_nanousd=dear)
    # Without history there is nothing to rise from.
    table.put(range(NOON - 6, NOON), 5, workflow="new", cost_nanousd=dear)
    table.send()
    assert sorted(table.reading().shifted(SIEVE)) == [("", "unpriced"), ("payments", "dearer"), ("payments", "later")]
    assert sorted(table.reading(early).shifted(SIEVE)) == [("", "unpriced"), ("payments", "dearer")]


def test_the_sieve_sees_tokens_and_slow_rises(table: Table) -> None:
    table.put(range(NOON - 96, NOON - 30), 5, workflow="tokens", cost_nanousd=USD, input_tokens=100)
    table.put(range(NOON - 30, NOON), 5, workflow="tokens", cost_nanousd=USD * 14 // 10, input_tokens=200)
    for day in range(30):
        first = NOON - (30 - day) * 24
        table.put(range(first, first + 4), 5, workflow="slow", cost_nanousd=USD + day * USD // 40)
    table.send()
    assert sorted(table.reading().shifted(SIEVE)) == [("payments", "slow"), ("payments", "tokens")]


def test_hours_by_version_template_and_model(table: Table) -> None:
    one = {
        "cost_nanousd": 100,
        "input_cost_nanousd": 40,
        "cache_write_cost_nanousd": 10,
        "cache_read_cost_nanousd": 20,
        "output_cost_nanousd": 30,
        "input_tokens": 7,
        "cache_read_tokens": 3,
        "output_tokens": 2,
        "use_case": "help",
    }
    table.put(range(NOON - 2, NOON), 3, **one)
    table.put(range(NOON - 1, NOON), 1, workflow_version="v2", prompt_template="p@2", model="gpt-5-mini", **one)
    table.put(range(NOON - 1, NOON), 1, team_id="risk", **one)
    table.put(range(NOON - 1, NOON), 1, workflow="other", **one)
    table.put(range(NOON, NOON + 1), 9, **one)
    table.send()
    # A second delivery of the same events.
    table.next = 0
    table.put(range(NOON - 2, NOON - 1), 3, ingested_at=NOON_US + 10 * HOUR_US, **one)
    table.send()
    rows = table.reading(1_000).hours([("payments", "w")], NOON - 10, NOON)
    assert [(row.hour - NOON, row.version, row.template, row.model, row.amounts) for row in rows] == [
        (-2, "v1", "", "claude-sonnet-4-5", (3, 21, 9, 6, 300, 150, 60, 90)),
        (-1, "v1", "", "claude-sonnet-4-5", (3, 21, 9, 6, 300, 150, 60, 90)),
        (-1, "v2", "p@2", "gpt-5-mini", (1, 7, 3, 2, 100, 50, 20, 30)),
    ]
    assert {(row.least_use_case, row.greatest_use_case) for row in rows} == {("help", "help")}
    assert table.reading(1_000).hours([], NOON - 10, NOON) == []


@pytest.mark.parametrize(("people", "is_shown"), [(0, True), (1, False), (4, False), (5, True)])
def test_a_workflow_of_few_people_is_left_out(table: Table, people: int, is_shown: bool) -> None:
    hashes: list[str | None] = [f"h{number}" for number in range(people)] or [None]
    table.put(range(NOON - 1, NOON), len(hashes), user_hash=hashes)
    table.send()
    assert bool(table.reading().hours([("payments", "w")], NOON - 10, NOON)) == is_shown


def test_a_version_of_few_people_has_no_name(table: Table) -> None:
    many = [f"h{number}" for number in range(5)]
    table.put(range(NOON - 1, NOON), 5, user_hash=many)
    table.put(range(NOON - 1, NOON), 4, user_hash=many[:4], workflow_version="ada-tries-it")
    table.put(range(NOON - 1, NOON), 3, user_hash=[None] * 3, workflow_version="of-services")
    table.send()
    rows = table.reading().hours([("payments", "w")], NOON - 10, NOON)
    assert {row.version: row.amounts[0] for row in rows} == {"v1": 5, "": 4, "of-services": 3}


@pytest.mark.parametrize(("people", "calls"), [(0, 1), (4, 0), (5, 5)])
def test_a_week_of_few_people_is_not_judged(shared: Database, table: Table, people: int, calls: int) -> None:
    hashes: list[str | None] = [f"h{number}" for number in range(people)] or [None]
    table.put(range(MONDAY - 1, MONDAY), len(hashes), use_case="help", user_hash=hashes)
    table.send()
    shared.command(
        "INSERT INTO usage_outcomes (outcome_id, occurred_at, use_case, succeeded) VALUES "
        "('o1', toDateTime64({hour:Int64} * 3600, 6, 'UTC'), 'help', true)",
        {"hour": MONDAY - 1},
    )
    assert [(row.calls, row.succeeded) for row in table.reading().weeks(MONDAY - 336, MONDAY)] == [(calls, 1)]


def test_versions_beyond_sixty_are_told_without_a_name(table: Table) -> None:
    for number in range(70):
        table.put(range(NOON - 1, NOON), 2 if number < 60 else 1, workflow_version=f"v{number}")
    table.send()
    rows = table.reading().hours([("payments", "w")], NOON - 10, NOON)
    assert len(rows) == 61
    assert [row.amounts[0] for row in rows if not row.version] == [10]


def test_weeks_of_cost_and_outcomes(shared: Database, table: Table) -> None:
    table.put(range(MONDAY - 168, MONDAY - 166), 2, use_case="help", cost_nanousd=5)
    table.put(range(MONDAY - 1, MONDAY), 1, use_case="help", cost_nanousd=None, provisional_nanousd=9)
    table.put(range(MONDAY, MONDAY + 1), 1, use_case="help", cost_nanousd=7)
    table.put(range(MONDAY - 1, MONDAY), 1, use_case="no-outcomes", cost_nanousd=5)
    table.send()
    outcomes = [
        ("o1", MONDAY - 168, True),
        ("o2", MONDAY - 1, True),
        ("o3", MONDAY - 1, False),
        ("o4", MONDAY, True),
        ("o5", MONDAY - 337, True),
    ]
    for name, hour, succeeded in outcomes:
        shared.command(
            "INSERT INTO usage_outcomes (outcome_id, occurred_at, use_case, succeeded) VALUES "
            "({name:String}, toDateTime64({hour:Int64} * 3600, 6, 'UTC'), 'help', {succeeded:Bool})",
            {"name": name, "hour": hour, "succeeded": succeeded},
        )
    assert table.reading().weeks(MONDAY - 336, MONDAY) == [WeekRow("help", MONDAY - 168, 5, 1, 20, 2, 1)]


def test_spikes_of_a_team_in_their_newest_state(shared: Database, table: Table) -> None:
    def told(name: str, revision: int, state: str, first: int, last: int, **more: str) -> None:
        fields = {"kind": "spike", "team": "payments", "historical": "false"} | more
        shared.command(
            "INSERT INTO governance_alerts (alert_id, revision, kind, state, historical, team_id, window_start, "
            "window_end) VALUES ({name:String}, {revision:UInt32}, {kind:String}, {state:String}, {historical:Bool}, "
            "{team:String}, toDateTime64({first:Int64} * 3600, 6, 'UTC'), toDateTime64({last:Int64} * 3600, 6, 'UTC'))",
            {"name": name, "revision": revision, "state": state, "first": first, "last": last, **fields},
        )

    told("a", 0, "firing", NOON - 5, NOON - 4)
    told("a", 1, "resolved", NOON - 5, NOON - 1)
    told("b", 0, "firing", NOON - 3, NOON - 2)
    told("old", 0, "firing", NOON - 90, NOON - 80)
    told("other", 0, "firing", NOON - 3, NOON - 2, team="risk")
    told("replayed", 0, "firing", NOON - 3, NOON - 2, historical="true")
    told("budget", 0, "firing", NOON - 3, NOON - 2, kind="budget")
    found = table.reading().spikes(["payments"], NOON - 24, NOON)
    assert [(one.alert_id, one.start_us // HOUR_US - NOON, one.runs) for one in found] == [
        ("a", -5, False),
        ("b", -3, True),
    ]
    assert found[0].end_us // HOUR_US == NOON - 1
