"""What single calls tell of a spike: who carries it, how it lies on people, sessions and prompts; never who
they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from runtime.clock import FixedClock
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.investigation.spikes import Carrier, Key, Scoped, Spans, SpikeCalls
from sinks.migrate import has_access_control, migrate
from tests.support.blocks import NOON_US, enriched_table

LOG = "cluster/topic"
HOUR = 3_600_000_000
NOW = (NOON_US, NOON_US + HOUR // 12)
BEFORE = (NOON_US - 2 * HOUR, NOON_US - HOUR)
SCOPED = Scoped({"team_id": ("payments",)}, {0: 10_000})


class Calls:
    """Events put in at a moment; each at an offset of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = 0

    def put(self, at_us: int, count: int = 1, **columns: Any) -> None:
        table = enriched_table(count, first=self._next, occurred_at=at_us, **({"cost_nanousd": 10} | columns))
        self._next += count
        self._database.insert("usage_events_raw", table.append_column("log", pa.array([LOG] * count)))


@pytest.fixture(scope="module")
def server(clickhouse: Any) -> ClickHouseTarget:
    return ClickHouseTarget(clickhouse.host, clickhouse.port, "writer", clickhouse.writer_password, database="spikes")


@pytest.fixture
def database(server: ClickHouseTarget) -> Iterator[Database]:
    with Database.open(server, create=True) as opened:
        migrate(opened, FixedClock(NOON_US), has_access_control=has_access_control(opened))
        opened.command("TRUNCATE TABLE usage_events_raw")
        yield opened


def spans(scale: float = 1.0, rise: float = 100.0) -> Spans:
    return Spans(NOW, BEFORE, scale, rise)


def test_the_whole_of_a_span(database: Database) -> None:
    calls = Calls(database)
    calls.put(NOON_US, 2, input_tokens=100, output_tokens=7, cache_read_tokens=30, stage="exploratory")
    calls.put(NOON_US, 1, status="error", attempt=2, cost_nanousd=None, provisional_nanousd=4)
    calls.put(NOON_US, 1, retry_of="e0")
    calls.put(NOW[1], 50)
    calls.put(NOON_US, 50, team_id="risk")
    whole = SpikeCalls(database, LOG).whole(SCOPED, NOW)
    assert (whole.calls, whole.errors, whole.retries) == (4, 1, 2)
    assert (whole.input_tokens, whole.cache_read_tokens, whole.output_tokens) == (200, 60, 14)
    assert (whole.cost, whole.exploratory_cost, whole.growing_cost) == (34, 20, 0)
    assert SpikeCalls(database, LOG).whole(SCOPED, BEFORE).calls == 0
    assert SpikeCalls(database, LOG).whole(Scoped({"team_id": ("payments",)}, {0: 1}), NOW).calls == 1


@pytest.mark.parametrize(
    ("inputs", "grows"),
    [
        ([10, 20, 30, 40, 50], True),
        ([10, 20, 30, 40], False),
        ([50, 40, 30, 20, 10], False),
        ([40, 41, 42, 43, 44], False),
    ],
)
def test_a_session_whose_input_grows_call_by_call(database: Database, inputs: list[int], grows: bool) -> None:
    calls = Calls(database)
    for at, tokens in enumerate(inputs):
        calls.put(NOON_US + at * 1_000_000, input_tokens=tokens, session_id="s")
        calls.put(NOON_US + at * 1_000_000, input_tokens=tokens)
    assert SpikeCalls(database, LOG).whole(SCOPED, NOW).growing_cost == (10 * len(inputs) if grows else 0)


def test_values_are_ranked_by_what_rose_and_few_people_are_not_shown(database: Database) -> None:
    calls = Calls(database)
    many = [f"h{number}" for number in range(5)]
    version = {"workflow": "nightly", "workflow_version": "v2", "use_case": "triage"}
    calls.put(NOON_US, 5, user_hash=many, prompt_template="one@1", **version)
    calls.put(NOON_US, 4, user_hash=many[:4], application="for-four", client_name="cli", client_version="1")
    calls.put(NOON_US, 3, credential_id="svc", use_case="sums")
    calls.put(BEFORE[0], 5, user_hash=many, use_case="sums")
    found = SpikeCalls(database, LOG).carriers(SCOPED, spans(scale=0.5))
    assert Carrier("workflow_version", "nightly@v2", 50, 0) in found
    assert Carrier("prompt_template", "one@1", 50, 0) in found
    assert Carrier("credential", "svc", 30, 0) in found
    assert {one.dimension for one in found}.isdisjoint({"application", "client"})
    assert [one for one in found if one.dimension == "use_case"] == [
        Carrier("use_case", "triage", 50, 0),
        Carrier("use_case", "sums", 30, 50),
    ]


def test_how_a_rise_lies_on_people_sessions_and_prompts(database: Database) -> None:
    calls = Calls(database)
    calls.put(NOON_US, 7, user_hash="a", session_id="s1", prompt_hash="same")
    for number in range(5):
        calls.put(NOON_US, user_hash=f"p{number}", session_id=f"t{number}", prompt_hash=f"q{number}")
    calls.put(BEFORE[0], 2, user_hash="a", session_id="old", prompt_hash="same")
    found = {one.kind: one for one in SpikeCalls(database, LOG).concentrations(SCOPED, spans(scale=0.5))}
    shares = {kind: one.first_share for kind, one in found.items()}
    assert shares == pytest.approx({"person": 0.6, "session": 0.7, "prompt": 0.6})
    assert {kind: (one.number, one.carriers, one.most_calls, one.most_calls_before) for kind, one in found.items()} == {
        "person": (6, 1, 7, 2),
        "session": (6, 1, 7, 0),
        "prompt": (6, 1, 7, 2),
    }
    spread = {one.kind: one for one in SpikeCalls(database, LOG).concentrations(SCOPED, spans(0.5, rise=10_000.0))}
    assert spread["person"].carriers == 0


def test_the_credential_that_carries_most_and_where_it_is_new(database: Database) -> None:
    calls = Calls(database)
    assert SpikeCalls(database, LOG).key(SCOPED, spans()) is None
    calls.put(BEFORE[0], 5, credential_id="shared", client_name="sdk", source="gateway")
    calls.put(NOON_US, 3, credential_id="shared", client_name="sdk", source="gateway")
    calls.put(NOON_US, 4, credential_id="shared", client_name="curl", source="elsewhere")
    calls.put(NOON_US, 2, credential_id="shared", client_name="curl", source="far-away")
    calls.put(NOON_US, 1, credential_id="other")
    calls.put(NOON_US, 40)
    assert SpikeCalls(database, LOG).key(SCOPED, spans()) == Key(90, 50, 2, 1, 60)


def test_calls_without_a_team_or_use_case_are_a_scope_too(database: Database) -> None:
    calls = Calls(database)
    calls.put(NOON_US, 3, team_id=None, use_case=None)
    calls.put(NOON_US, 4, team_id=None, use_case="triage")
    nobody = SpikeCalls(database, LOG)
    assert nobody.whole(Scoped({"team_id": ("\0",)}, {0: 100}), NOW).calls == 7
    assert nobody.whole(Scoped({"team_id": ("\0",), "use_case": ("\0",)}, {0: 100}), NOW).calls == 3
