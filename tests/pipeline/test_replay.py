"""The whole house, from a trace file to ClickHouse and budgets: the same on the embedded broker and on Apache Kafka."""

from __future__ import annotations

import json
import random
import urllib.request
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.control.budgets import Budget, Scope
from sources.replay import ReplayConfig, replay
from streamgauge.embedded.broker import pick_port
from tests.support.house import TestHouse, wait_for

pytestmark = pytest.mark.slow

CALLS = 2_000
#: 2023-11-16 18:15:46 UTC and on, like the public traces.
HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"


def write_trace(path: Path) -> tuple[int, int]:
    """A trace of CALLS lines in the public format; returns its token sums."""
    rng = random.Random(11)
    lines, inputs, outputs, at = [HEADER], 0, 0, 0
    for _ in range(CALLS):
        at += rng.randint(0, 20_000_000)
        tokens_in, tokens_out = rng.randint(1, 9_000), rng.randint(1, 900)
        inputs, outputs = inputs + tokens_in, outputs + tokens_out
        seconds, hundred_ns = divmod(at, 10_000_000)
        minutes, second = divmod(46 + seconds, 60)
        hours, minute = divmod(15 + minutes, 60)
        lines.append(f"2023-11-16 {18 + hours}:{minute:02}:{second:02}.{hundred_ns:07},{tokens_in},{tokens_out}")
    path.write_text("\n".join(lines) + "\n")
    return inputs, outputs


@pytest.fixture
def house(bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TestHouse]:
    totals = {"STREAMGAUGE_AGENTS__WEB_PORT": str(pick_port())}
    with TestHouse(bootstrap, tmp_path, f"{topic_prefix}.", environment=totals) as running:
        yield running


def budgets() -> list[Budget]:
    month = [
        Budget(id=f"{team}-month", scope=Scope(team=team), unit="tokens", limit=Decimal(1_000_000), period="month")
        for team in ("team-1", "team-2", "team-3", "team-4")
    ]
    platform = Budget(id="platform-day", unit="calls", limit=Decimal(CALLS // 2), period="day", mode="enforce")
    return [*month, platform]


def totals_of(house: TestHouse, team: str) -> list[dict[str, Any]]:
    """What the agents hold of a team, from their totals on loopback."""
    port = house.environment()["STREAMGAUGE_AGENTS__WEB_PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/totals/{team}", timeout=10) as answer:
        windows: list[dict[str, Any]] = json.load(answer)["windows"]
    return windows


def test_a_trace_becomes_rows_totals_and_budget_states(house: TestHouse, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    inputs, outputs = write_trace(trace)
    house.apply(*budgets())
    house.start()

    summary = replay(ReplayConfig(path=trace, format="azure-llm"), house.connection, house.topics)
    assert summary.events == CALLS
    count = "SELECT count(), sum(input_tokens), sum(output_tokens) FROM usage_events"
    wait_for(lambda: house.query(count)[0][0] == CALLS, 60, f"{CALLS} rows in ClickHouse")
    assert tuple(house.query(count)[0]) == (CALLS, inputs, outputs)

    by_team = {
        team: (calls, tokens)
        for team, calls, tokens in house.query(
            "SELECT team_id, count(), sum(input_tokens + output_tokens) FROM usage_events GROUP BY team_id"
        )
    }
    assert sum(calls for calls, _ in by_team.values()) == CALLS
    expected = {f"{team}-month": tokens for team, (_, tokens) in by_team.items()} | {"platform-day": CALLS}
    used = "SELECT budget_id, used FROM governance_status FINAL WHERE state != 'retired'"
    wait_for(lambda: dict(map(tuple, house.query(used))) == expected, 60, f"budgets to stand at {expected}")

    for team, (calls, _) in by_team.items():
        # The agents' own windows: the month has every call, and so have its hours together.
        windows = totals_of(house, team)
        assert [row["calls"] for row in windows if row["resolution"] == "month"] == [calls]
        assert sum(row["calls"] for row in windows if row["resolution"] == "hour") == calls

    levels = Counter(
        (budget, level)
        for budget, level in house.query("SELECT budget_id, level FROM governance_alerts WHERE state = 'firing'")
        if budget == "platform-day"
    )
    assert levels == {("platform-day", level): 1 for level in ("warning", "soft", "hard")}
    assert {row[0] for row in house.query("SELECT DISTINCT historical FROM governance_alerts")} == {True}

    # The same file again: every event is recognised, and nothing moves.
    replay(ReplayConfig(path=trace, format="azure-llm"), house.connection, house.topics)
    ledger = "SELECT sum(read), sum(enriched), sum(duplicates), sum(rejected) FROM usage_ledger FINAL"
    wait_for(lambda: house.query(ledger)[0][0] == 2 * CALLS, 60, "the second replay in the ledger")
    assert tuple(house.query(ledger)[0]) == (2 * CALLS, CALLS, CALLS, 0)
    assert tuple(house.query(count)[0]) == (CALLS, inputs, outputs)
    assert dict(map(tuple, house.query(used))) == expected
