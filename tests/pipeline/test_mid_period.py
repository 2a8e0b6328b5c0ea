"""A budget that is made in mid-period, on Apache Kafka: unknown while ClickHouse is away, then whole, whoever dies; and
what ClickHouse adds to the alert.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.alerts import Alert
from schemas.control.budgets import Budget, Scope
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from schemas.status import BudgetStatus
from streamgauge.embedded.broker import pick_port
from streamgauge.embedded.child import log_tail, spawn_child, stop_child
from streamgauge.tail import read_topic
from tests.support.enrich import event, send_events
from tests.support.house import TestHouse, wait_for

pytestmark = pytest.mark.slow

WAIT_S = 60.0
LATE = Budget(id="late", scope=Scope(team="search"), unit="tokens", limit=Decimal(500), period="month")


@pytest.fixture
def house(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TestHouse]:
    environment = {
        "STREAMGAUGE_ENRICH__LATENESS_S": "0",
        "STREAMGAUGE_AGENTS__SETTLE_MS": "50",
        "STREAMGAUGE_AGENTS__CHECKPOINT_S": "0.2",
        "STREAMGAUGE_AGENTS__INVESTIGATE": "true",
    }
    house = TestHouse(
        kafka_bootstrap,
        tmp_path,
        f"{topic_prefix}.",
        partitions=(2, 2),
        environment=environment,
        http_port=pick_port(),
    )
    with house as running:
        yield running


def status(house: TestHouse) -> BudgetStatus | None:
    """The newest of the late budget."""
    found = None
    for one in read_topic(house.connection, house.topics.status):
        if one.key is not None and one.key.startswith(b"late|") and one.value is not None:
            found = BudgetStatus.model_validate_json(one.value)
    return found


def alerts(house: TestHouse) -> list[Alert]:
    told = [
        Alert.model_validate_json(one.value)
        for one in read_topic(house.connection, house.topics.alerts)
        if one.value is not None
    ]
    return [alert for alert in told if alert.budget_id == "late" and alert.kind == "budget"]


def spend(house: TestHouse, first: int, count: int) -> None:
    """So many calls of 100 tokens, now."""
    now_us = time.time_ns() // 1_000
    send_events(
        house.connection,
        house.topics,
        [
            event(
                first + number,
                occurred_at=now_us - 3_000_000 + number * 1_000,
                credential_id="key-search",
                input_tokens=100,
                output_tokens=0,
                workflow="nightly",
            )
            for number in range(count)
        ],
    )


def struck_agents(house: TestHouse, log: Path) -> subprocess.Popen[bytes]:
    more = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    argv = [sys.executable, "-m", "tests.streams.agents.base.struck_agents"]
    return spawn_child(argv, log_path=log, env=house.environment() | more)


@pytest.mark.kafka
def test_a_late_budget_is_whole_once_whoever_dies(house: TestHouse, tmp_path: Path) -> None:
    house.apply(
        Team(id="search", terms=(TeamTerm(department="lab"),)),
        Sender(sender="credential", id="key-search", terms=(Membership(team="search"),)),
    )
    house.start("sink", "enrich")
    log = tmp_path / "struck.log"
    agents = struck_agents(house, log)
    try:
        spend(house, 0, 4)
        wait_for(lambda: house.query("SELECT count() FROM usage_events")[0][0] == 4, WAIT_S, "four calls in ClickHouse")
        house.clickhouse.stop()
        house.apply(LATE)

        def waits() -> bool:
            found = status(house)
            return found is not None and "ClickHouse does not answer" in (found.state_reason or "")

        wait_for(waits, WAIT_S, "the status to say that ClickHouse is away")
        waiting = status(house)
        assert waiting is not None
        assert waiting.state == "unknown"
        # It goes on counting meanwhile.
        spend(house, 4, 1)
        house.clickhouse.start()
        house.forget_client()
        wait_for(lambda: agents.poll() is not None, WAIT_S, "the agents to die between the answer and its commit")
        assert agents.poll() == -signal.SIGKILL, log_tail(log, 40)
    finally:
        stop_child(agents)
    found = status(house)
    assert found is not None
    assert found.state == "unknown"
    assert alerts(house) == []
    house.start("agents")
    wait_for(lambda: (now := status(house)) is not None and now.state_reason is None, WAIT_S, "the budget to be whole")
    whole = status(house)
    assert whole is not None
    assert (whole.used, whole.calls, whole.state) == (500, 5, "soft")
    spend(house, 5, 1)
    wait_for(lambda: (now := status(house)) is not None and now.used == 600, WAIT_S, "the sixth call")
    wait_for(lambda: len(alerts(house)) >= 6, WAIT_S, "three levels and what is behind them")
    told = sorted((alert.level or "", alert.revision, alert.state) for alert in alerts(house))
    assert told == sorted(
        (level, *step) for level in ("warning", "soft", "hard") for step in ((0, "firing"), (1, "updated"))
    )
    for alert in alerts(house):
        if alert.state == "updated":
            assert "workflow nightly" in alert.summary
            assert sum(cause.share for cause in alert.explanation) + (alert.unexplained_share or 0) == pytest.approx(1)
