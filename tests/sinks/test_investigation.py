"""What single calls tell of a scope: what rose and by what, and what its siblings used; nobody is seen through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from runtime.clock import FixedClock
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.investigation.spending import Asked, Neighbour, Part, Spending
from sinks.migrate import has_access_control, migrate
from tests.support.blocks import NOON_US, enriched_table

LOG = "cluster/topic"
HOUR = 3_600_000_000


@pytest.fixture
def database(http_target: ClickHouseTarget) -> Iterator[Database]:
    with Database.open(http_target, create=True) as opened:
        migrate(opened, FixedClock(NOON_US), has_access_control=has_access_control(opened))
        yield opened


def put(database: Database, count: int, first: int, at_us: int, **columns: Any) -> None:
    table = enriched_table(count, first=first, occurred_at=at_us, **columns)
    database.insert("usage_events_raw", table.append_column("log", pa.array([LOG] * count)))


def asked(unit: str = "usd", **selectors: tuple[str, ...]) -> Asked:
    return Asked(selectors, unit, (NOON_US - HOUR, NOON_US), (NOON_US, NOON_US + HOUR), {0: 1_000})


def test_a_scope_by_team_use_case_workflow_and_model(database: Database) -> None:
    spending = Spending(database, LOG)
    put(database, 2, 0, NOON_US, workflow="a", cost_nanousd=10, input_tokens=100, cache_read_tokens=20)
    put(database, 2, 2, NOON_US - HOUR, workflow="a", cost_nanousd=4, input_tokens=100, cache_read_tokens=80)
    put(database, 1, 4, NOON_US, workflow="b", cost_nanousd=None, provisional_nanousd=7)
    put(database, 1, 5, NOON_US, team_id="risk", workflow="c", cost_nanousd=99)
    put(database, 1, 6, NOON_US + HOUR, workflow="a", cost_nanousd=1_000)
    put(database, 1, 2_000, NOON_US, workflow="a", cost_nanousd=1_000)
    parts = {(part.dimension, part.value): part for part in spending.parts(asked(team_id=("payments",)))}
    assert parts["all", ""] == Part("all", "", 27, 8, 200, 200, 40, 160)
    assert (parts["workflow", "a"].now, parts["workflow", "a"].before) == (20, 8)
    assert (parts["workflow", "b"].now, parts["workflow", "b"].before) == (7, 0)
    assert {key for key in parts if key[0] in ("team", "use_case")} == {("team", "payments")}
    calls = {part.dimension: part for part in spending.parts(asked("calls"))}
    assert (calls["all"].now, calls["all"].before) == (4, 2)


@pytest.mark.parametrize(("people", "is_named"), [(0, True), (1, False), (4, False), (5, True)])
def test_a_value_with_few_people_behind_it_is_not_named(database: Database, people: int, is_named: bool) -> None:
    hashes: list[str | None] = [f"h{number}" for number in range(people)] or [None]
    put(database, len(hashes), 0, NOON_US, workflow="w", user_hash=hashes, cost_nanousd=1)
    found = {part.dimension for part in Spending(database, LOG).parts(asked())}
    assert ("workflow" in found) == is_named
    assert "all" in found
    siblings = Spending(database, LOG).neighbours(asked(workflow=("other",)))
    assert bool(siblings) == is_named


def test_siblings_differ_in_one_selector(database: Database) -> None:
    one = {"team_id": "payments", "stage": "production"}
    put(database, 1, 0, NOON_US - HOUR, cost_nanousd=9, **one)
    put(database, 1, 1, NOON_US, cost_nanousd=2, **one)
    put(database, 1, 2, NOON_US, cost_nanousd=6, **(one | {"stage": "exploratory"}))
    put(database, 1, 3, NOON_US, cost_nanousd=5, **(one | {"team_id": "risk"}))
    put(database, 1, 4, NOON_US, cost_nanousd=70, team_id="risk", stage="exploratory")
    scope = asked(team_id=("payments",), stage=("production",), user_hash=())
    found = Spending(database, LOG).neighbours(scope)
    assert found == [
        Neighbour("team_id", "payments", 2, 9, True),
        Neighbour("team_id", "risk", 5, 0, False),
        Neighbour("stage", "production", 2, 9, True),
        Neighbour("stage", "exploratory", 6, 0, False),
    ]
