"""`reprice`: an unknown model gets a price; rows stay, differences are booked once, closed months stay closed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from runtime.clock import SystemClock
from schemas.control.base import moment_us
from schemas.control.budgets import Budget, Scope
from schemas.control.snapshot import ControlSnapshot
from schemas.prices.card import Provisional, RateCard
from schemas.prices.overrides import OverrideRates, PriceOverride
from schemas.tallies import TALLIES
from sinks.config import ClickHouseTarget
from sinks.corrections.adjustments import Wanted, events_to_price, stretches
from sinks.database import Database
from streamgauge.adjusting import AdjustmentWriter, Fenced, NotWritten, tallies_of, wait_until_written
from streamgauge.adjusting.deltas import Booking, deltas_of
from streamgauge.adjusting.reprice import Report, Reprice
from streamgauge.adjusting.tallies import SELECTABLE
from streamgauge.cli.reprice import exact_usd
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from streamgauge.reconciling import _deltas as resent_deltas
from tests.sinks.running import SinkHouse
from tests.support.blocks import enriched_table, us

JANUARY, APRIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
MARCH = us(2026, 3, 1, 0)
#: 1,000 input and 100 output tokens: 0.003 USD at 2 and 10 USD a million; held at 10 and 40: 0.014.
COST, HELD = 3_000_000, 14_000_000


@pytest.fixture(scope="module")
def house(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SinkHouse]:
    """One sink for all tests, which keep apart by model and team."""
    prefix = f"t{uuid.uuid4().hex[:10]}"
    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse")) as clickhouse:
        target = ClickHouseTarget(clickhouse.host, clickhouse.port, "writer", clickhouse.writer_password, prefix)
        house = SinkHouse(kafka_bootstrap, prefix, target)
        with house.running():
            yield house


@pytest.fixture
def calls(house: SinkHouse) -> Iterator[Calls]:
    with Database.open(house.target) as database:
        yield Calls(house, database, f"model-{uuid.uuid4().hex[:8]}")


@dataclass
class Calls:
    """Events of a model and a team that no other test has."""

    house: SinkHouse
    database: Database
    model: str

    def put(self, when: list[int], first: int = 0, **columns: Any) -> None:
        given = {
            "model": self.model,
            "team_id": self.model,
            "use_case": self.model,
            "occurred_at": pa.array(when),
            "input_tokens": 1_000,
            "output_tokens": 100,
            "cost_nanousd": None,
            "provisional_nanousd": HELD,
            "price_status": "unpriced",
            **columns,
        }
        table = enriched_table(len(when), first=first, **given)
        self.database.insert("usage_events_raw", table.append_column("log", pa.array([self.model] * len(when))))

    def price(self, dollars_in: str = "2", dollars_out: str = "10", since: datetime = JANUARY) -> PriceOverride:
        return price_of(self.model, dollars_in, dollars_out, since)

    def command(self, again: bool = False, model: str | None = None, **more: Any) -> Reprice:
        wanted = Wanted(JANUARY, APRIL, model or self.model, again)
        return Reprice(wanted, Booking(moment_us(NOW), MARCH), "a contract", "ada", **more)

    def run(self, one: Reprice, *prices: PriceOverride) -> Report:
        with AdjustmentWriter(self.house.connection, self.house.topics) as writer:
            wait_until_written(writer, self.database, SystemClock())
            report = one.write(self.database, snapshot(*prices), Provisional(), writer)
            wait_until_written(writer, self.database, SystemClock())
        return report

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.database.query(sql, {"mine": self.model})

    def cost(self) -> int:
        ((cost,),) = self.ask("SELECT sum(cost_nanousd) FROM usage_costs WHERE team_id = {mine:String}")
        return int(cost)


def price_of(model: str, dollars_in: str, dollars_out: str, since: datetime) -> PriceOverride:
    rates = OverrideRates(input=Decimal(dollars_in), output=Decimal(dollars_out))
    return PriceOverride(id=f"{model}-{since:%m%d}", model=model, valid_from=since, rates=rates, source="contract")


def snapshot(*prices: PriceOverride) -> ControlSnapshot:
    budget = Budget(id="a-month", scope=Scope(team="a"), unit="usd", limit=Decimal(5), period="month")
    changes = {f"price/{price.id}": (number, price) for number, price in enumerate(prices)}
    return ControlSnapshot().with_changes(changes | {"budget/a-month": (9, budget)}, 10)


SHOWBACK = (
    "SELECT month, calls, cost_usd, adjustments_usd, unpriced_calls, provisional_usd "
    "FROM showback_monthly WHERE team_id = {mine:String} ORDER BY month"
)


def test_differences_are_booked_once_and_closed_months_stay_closed(calls: Calls) -> None:
    february, march = us(2026, 2, 10), us(2026, 3, 10)
    ours = calls.price()
    calls.put([february, february + 1, march, march + 3_600_000_000])
    calls.put([march], first=9, response_model="still-unknown", provider="unheard-of", model=f"not-{calls.model}")
    calls.put([march], 10, cost_nanousd=7, price_status="priced", provisional_nanousd=0)
    closed = (date(2026, 2, 1), 2, Decimal(0), Decimal(0), 2, Decimal("0.028"))
    assert calls.ask(SHOWBACK) == [
        closed,
        (date(2026, 3, 1), 4, Decimal("0.000000007"), Decimal(0), 3, Decimal("0.042")),
    ]

    looked = calls.command().look(calls.database, snapshot(ours), Provisional())
    assert (looked.events, looked.cost) == (4, 4 * COST)
    assert calls.ask("SELECT count() FROM usage_adjustments WHERE model = {mine:String}") == [(0,)]

    # Stretches of one event each: several adjustments, each of them whole.
    report = calls.run(calls.command(stretch_events=1), ours)
    assert (report.events, report.cost, len(report.adjustments)) == (4, 4 * COST, 3)
    after = [
        closed,
        # Own time: two calls of March. Now: two of February, which release nothing.
        (date(2026, 3, 1), 4, Decimal("0.012000007"), Decimal("0.012"), 1, Decimal("0.014")),
    ]
    assert calls.ask(SHOWBACK) == after
    assert calls.run(calls.command(), ours).events == 0
    assert calls.ask(SHOWBACK) == after
    rows = calls.ask(
        "SELECT count(), sum(cost_nanousd), countIf(price_status = 'unpriced') "
        "FROM usage_events WHERE team_id = {mine:String}"
    )
    assert rows == [(6, 7, 5)], "rows stay as they were written"
    whole = [(Decimal("0.012000007"), 6)]
    daily = "SELECT sum(cost_usd), sum(calls) FROM usage_daily_by_team WHERE team_id = {mine:String}"
    assert calls.ask(daily) == whole
    outcomes = "SELECT sum(cost_usd), sum(calls) FROM cost_per_outcome WHERE use_case = {mine:String}"
    assert calls.ask(outcomes) == whole
    kinds = calls.ask(
        "SELECT DISTINCT kind, reason, made_by, rate_card LIKE '%overrides:1%' "
        "FROM usage_adjustments WHERE model = {mine:String}"
    )
    assert kinds == [("reprice", "a contract", "ada", True)]


def test_a_correction_reaches_budgets_of_every_selector(calls: Calls) -> None:
    when = us(2026, 3, 10)
    columns: dict[str, Any] = {
        "workflow": ["w", None, "w"],
        "role": ["dev", "dev", None],
        "criticality": "high",
        "data_class": "secret",
    }
    calls.put([when, when + 1, when + 2], user_hash=["ada", "bob", None], **columns)
    ours, command = calls.price(), calls.command()
    scopes = {
        "ada": Scope(user="ada"),
        "flow": Scope(workflow="w", criticality="high"),
        "role": Scope(role="dev", team=calls.model),
        "secret": Scope(data_class="secret", use_case=calls.model),
    }
    budgets = [Budget(id=name, scope=one, limit=Decimal(5), period="month") for name, one in scopes.items()]
    events = events_to_price(calls.database, command.wanted, JANUARY, APRIL, people=True)
    deltas = deltas_of(events, RateCard.compile((ours,), Provisional()), command.booking)
    rows = [row for row in tallies_of(deltas, budgets).to_pylist() if row["budget_id"] is not None]
    assert {row["budget_id"]: row["cost_nanousd"] for row in rows} == {
        "ada": COST,
        "flow": 2 * COST,
        "role": 2 * COST,
        "secret": 3 * COST,
    }
    without = events_to_price(calls.database, command.wanted, JANUARY, APRIL, people=False)
    assert without.drop_columns("user_hash").equals(events.drop_columns("user_hash"))

    calls.run(command, ours)
    kept = "SELECT user_hash, workflow, role, criticality, data_class FROM usage_adjustments FINAL WHERE model = "
    assert calls.ask(f"{kept}{{mine:String}} ORDER BY src_offset") == [
        ("ada", "w", "dev", "high", "secret"),
        ("bob", None, "dev", "high", "secret"),
        (None, "w", None, "high", "secret"),
    ]
    by_flow = "SELECT workflow, sum(cost_nanousd) FROM usage_costs WHERE team_id = {mine:String} GROUP BY workflow"
    assert sorted(calls.ask(by_flow), key=str) == [("w", 2 * COST), (None, COST)]


def test_resends_leave_budgets_of_every_selector() -> None:
    columns: dict[str, Any] = {"user_hash": ["ada", None], "workflow": "w", "role": "dev", "cost_nanousd": [5, None]}
    scopes = {"ada": Scope(user="ada"), "flow": Scope(workflow="w", role="dev"), "other": Scope(data_class="secret")}
    budgets = [Budget(id=name, scope=one, limit=Decimal(5), period="month") for name, one in scopes.items()]
    rows = tallies_of(resent_deltas(enriched_table(2, **columns)), budgets).to_pylist()
    told = {row["budget_id"]: (row["calls"], row["cost_nanousd"], row["unpriced"]) for row in rows if row["budget_id"]}
    assert told == {"ada": (-1, -5, 0), "flow": (-2, -5, -1)}


def test_a_wrong_price_is_corrected_by_a_dated_one(calls: Calls) -> None:
    ours, dearer = calls.price(), calls.price("4", "20", datetime(2026, 3, 15, tzinfo=UTC))
    calls.put([us(2026, 3, 10), us(2026, 3, 16)])
    calls.put([us(2026, 3, 16)], 5, cost_nanousd=COST, price_status="priced", provisional_nanousd=0)
    assert calls.run(calls.command(), ours).cost == 2 * COST
    assert calls.run(calls.command(), ours, dearer).events == 0, "priced already: only --again looks at it"
    again = calls.command(again=True, model=f"{calls.model.upper()[:-1]}*")
    report = calls.run(again, ours, dearer)
    assert (report.events, report.cost) == (2, 2 * COST), "the unpriced one and the one priced wrongly"
    assert calls.run(again, ours, dearer).events == 0
    total = "SELECT sum(provisional_nanousd), sum(unpriced_calls) FROM usage_costs WHERE team_id = {mine:String}"
    assert (calls.cost(), calls.ask(total)) == (5 * COST, [(0, 0)])


def test_a_second_command_fences_the_first(calls: Calls) -> None:
    calls.put([us(2026, 3, 10), us(2026, 3, 11)])
    with AdjustmentWriter(calls.house.connection, calls.house.topics) as first:
        wait_until_written(first, calls.database, SystemClock())
        assert calls.run(calls.command(), calls.price()).events == 2
        with pytest.raises(Fenced, match="another command"):
            calls.command(again=True).write(calls.database, snapshot(calls.price("3", "3")), Provisional(), first)
    assert calls.run(calls.command(), calls.price()).events == 0
    assert calls.cost() == 2 * COST


def test_a_crash_before_the_commit_leaves_nothing(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first command dies with its transaction open; the next one ends it and does the whole."""

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    calls.put([us(2026, 3, 10)])
    writer = AdjustmentWriter(calls.house.connection, calls.house.topics)
    with monkeypatch.context() as patched:
        patched.setattr(AdjustmentWriter, "_commit", die)
        with pytest.raises(Killed):
            calls.command().write(calls.database, snapshot(calls.price()), Provisional(), writer)
    assert calls.run(calls.command(), calls.price()).events == 1
    assert calls.cost() == COST


def test_the_next_command_waits_for_the_sink(calls: Calls, topic_prefix: str) -> None:
    """Topics that no sink reads: nobody knows what is corrected already."""
    idle = SinkHouse(calls.house.bootstrap, topic_prefix, calls.house.target)
    calls.put([us(2026, 3, 10)])
    with AdjustmentWriter(idle.connection, idle.topics) as writer:
        calls.command().write(calls.database, snapshot(calls.price()), Provisional(), writer)
        told: list[str] = []
        with pytest.raises(NotWritten, match="start the sink"):
            wait_until_written(writer, calls.database, SystemClock(), told.append, timeout_s=0.5)
    (sentence,) = told
    assert sentence.startswith("Waiting for the sink")


def test_stretches_hold_at_most_so_many_events(calls: Calls) -> None:
    hour = us(2026, 3, 10)
    calls.put([hour, hour + 1, hour + 3_600_000_000, hour + 10 * 3_600_000_000])

    def hours(limit: int) -> list[tuple[int, int]]:
        return [(low.hour, high.hour) for low, high in stretches(calls.database, calls.command().wanted, limit)]

    assert hours(3) == [(12, 14), (22, 23)]
    assert hours(1) == [(12, 13), (13, 14), (22, 23)]
    assert hours(4) == [(12, 23)]


def test_tallies_are_those_of_enrich() -> None:
    noon = us(2026, 3, 10)
    columns = {name: pa.array(["a" if name == "team_id" else None] * 3, pa.utf8()) for name in SELECTABLE}
    columns |= {
        "booked_at": pa.array([noon, noon + 1, noon + 20 * 60_000_000]),
        "cost_nanousd": pa.array([5, 6, 7]),
        "provisional_nanousd": pa.array([-1, -1, 0]),
    }
    table = tallies_of(pa.table(columns), snapshot().budgets.values())
    assert table.schema == TALLIES
    rows = [
        (row["minute"], row["budget_id"], row["period_start"], row["calls"], row["cost_nanousd"], row[name])
        for row in table.to_pylist()
        for name in ("provisional_nanousd",)
    ]
    minute, start = noon // 60_000_000, MARCH // 60_000_000
    assert rows == [
        (minute, None, None, 0, 11, -2),
        (minute + 20, None, None, 0, 7, 0),
        (minute, "a-month", start, 0, 11, -2),
        (minute + 15, "a-month", start, 0, 7, 0),
    ]
    assert tallies_of(pa.table(columns).slice(0, 0), []).num_rows == 0


def test_money_is_printed_to_its_last_digit() -> None:
    """A few calls of a cheap model cost less than a cent, and that is what they are booked at."""
    told = {0: "$0.00", 3_000_000: "$0.003", 12_000_007: "$0.012000007", -1_500_000_000: "-$1.50", 10**13: "$10,000.00"}
    assert {nanousd: exact_usd(nanousd) for nanousd in told} == told
