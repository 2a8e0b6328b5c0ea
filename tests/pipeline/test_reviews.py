"""A deploy that triples what a call takes in, from calls on the topic to one alert with its version: all rooms, in the
embedded broker and ClickHouse.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.alerts import Alert
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from streamgauge.tail import read_topic
from tests.support.enrich import event, send_events
from tests.support.house import TestHouse, wait_for

WAIT_S = 60.0
HOUR_US = 3_600_000_000
DAYS = 6
CALLS = 6
DEPLOYED_HOURS = 8


@pytest.fixture
def house(tansu_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TestHouse]:
    environment = {
        "STREAMGAUGE_ENRICH__LATENESS_S": "0",
        "STREAMGAUGE_AGENTS__SETTLE_MS": "50",
        "STREAMGAUGE_AGENTS__CHECKPOINT_S": "0.2",
    }
    with TestHouse(
        tansu_bootstrap, tmp_path, f"{topic_prefix}.", partitions=(1, 2), environment=environment
    ) as running:
        yield running


def regressions(house: TestHouse) -> list[Alert]:
    told = [
        Alert.model_validate_json(one.value)
        for one in read_topic(house.connection, house.topics.alerts)
        if one.value is not None
    ]
    return [alert for alert in told if alert.kind == "workflow_regression"]


def test_a_deploy_that_triples_usage_is_told_once_with_its_version(house: TestHouse) -> None:
    house.apply(
        Team(id="search", terms=(TeamTerm(department="lab", owner="Ada", contact="#search"),)),
        Sender(sender="credential", id="key-search", terms=(Membership(team="search"),)),
    )
    now_hour = time.time_ns() // 1_000 // HOUR_US
    deployed = now_hour - DEPLOYED_HOURS
    house.start("sink", "enrich", "agents")
    calls = [
        event(
            (hour - now_hour) * CALLS + number + 100_000,
            occurred_at=hour * HOUR_US + number * HOUR_US // CALLS,
            credential_id="key-search",
            input_tokens=60_000 if hour >= deployed else 20_000,
            output_tokens=100,
            workflow="triage",
            workflow_version="2026.11.2" if hour >= deployed else "2026.11.1",
        )
        for hour in range(now_hour - DAYS * 24, now_hour)
        for number in range(CALLS)
    ]
    send_events(house.connection, house.topics, calls)
    last = event(1, occurred_at=now_hour * HOUR_US + 1_000_000, credential_id="key-search")
    send_events(house.connection, house.topics, [last])
    wait_for(lambda: len(regressions(house)) > 0, WAIT_S, "the alert on workflow triage")
    (fired,) = regressions(house)
    assert (fired.state, fired.revision, fired.historical) == ("firing", 0, False)
    assert (fired.scope.team, fired.scope.workflow, fired.owner, fired.contact) == (
        "search",
        "triage",
        "Ada",
        "#search",
    )
    assert fired.window.start.timestamp() == deployed * 3_600
    assert "since version 2026.11.2 of" in fired.summary
    assert fired.incident == "prompt_bloat"
    # Six calls an hour, 20,000 and then 60,000 tokens at $1.25 a million, and 100 at $10.
    assert (fired.expected, fired.observed) == (30 * 24 * 6 * 26_000_000, 30 * 24 * 6 * 76_000_000)
    rows = house.query("SELECT count() FROM usage_events WHERE workflow = 'triage'")
    assert rows[0][0] == len(calls)
