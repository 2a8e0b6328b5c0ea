"""`streamgauge reconcile` on the whole house: events that were sent again are named, taken out of budgets, and gone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.control.budgets import Budget, Scope
from tests.support.house import TestHouse, wait_for

#: The shortest horizon that the settings take is a minute; broker times are the producer's own here, so nobody waits.
HORIZON_S = 60
#: When all events occurred: taken once, since a resend an hour on would be another event.
OCCURRED_US = (int(time.time()) - 1_800) // 3_600 * 3_600_000_000


@pytest.fixture
def house(bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TestHouse]:
    environment = {"STREAMGAUGE_ENRICH__DEDUPE_HORIZON_S": str(HORIZON_S), "STREAMGAUGE_AGENTS__CHECKPOINT_S": "1"}
    with TestHouse(bootstrap, tmp_path, topic_prefix, partitions=(2, 2), environment=environment) as running:
        own_times(running)
        running.apply(
            Budget(id="calls", scope=Scope(team="search"), unit="calls", limit=Decimal(100), period="month"),
            Budget(id="money", unit="usd", limit=Decimal(100), period="day"),
        )
        running.start()
        yield running


def own_times(house: TestHouse) -> None:
    """Let usage.events keep the times that its producer gives."""
    setting = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, house.topics.events, incremental_configs=[setting])
    admin = AdminClient(house.connection.librdkafka())
    admin.incremental_alter_configs([resource])[resource].result(30)


def reconcile(house: TestHouse, *options: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "streamgauge", "reconcile", "--json", *options],
        env=house.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def send(house: TestHouse, partition: int, *names: str, age_s: int = 0) -> None:
    """One event each, appended `age_s` seconds ago; all of them occurred at one time."""
    now_s = int(time.time())
    producer = Producer(house.connection.librdkafka())
    for name in names:
        event = {
            "event_id": name,
            "source": "gateway",
            "occurred_at": OCCURRED_US,
            "team_id": "search",
            "provider": "openai",
            "model": "gpt-4o-mini",
            "input_tokens": 1_000,
            "output_tokens": 10,
        }
        producer.produce(house.topics.events, json.dumps(event), partition=partition, timestamp=(now_s - age_s) * 1_000)
    assert producer.flush(30) == 0


def stands_at(house: TestHouse, budget: str) -> int:
    rows = house.query(f"SELECT used FROM governance_status FINAL WHERE budget_id = '{budget}' AND calls > 0")  # noqa: S608
    return int(rows[0][0]) if rows else 0


def kinds(found: dict[str, Any]) -> list[tuple[str, int]]:
    return sorted((one["kind"], one["events"]) for check in found["checks"] for one in check["findings"])


def test_resends_are_named_and_taken_out(house: TestHouse) -> None:
    send(house, 0, "one", "two", "three", age_s=10 * HORIZON_S)
    wait_for(lambda: stands_at(house, "calls") == 3, 120, "three calls")
    counted = stands_at(house, "money")
    code, found = reconcile(house)
    assert (code, kinds(found)) == (0, []), found
    assert [one["judged"] for one in found["checks"] if one["check"] == "agents"] == [2], found["notes"]

    # Into another partition; and into its own, beyond the horizon.
    send(house, 1, "one")
    send(house, 0, "two", "four")
    wait_for(lambda: stands_at(house, "calls") == 6, 120, "two resends to be counted")
    wait_for(lambda: house.query("SELECT sum(enriched) FROM usage_ledger FINAL")[0][0] == 6, 120, "the ledger")
    assert house.query("SELECT count() FROM usage_events")[0][0] == 4

    code, found = reconcile(house)
    assert code == 1
    assert kinds(found) == [("resend", 1), ("resend", 1), ("total_high", 2), ("total_high", 2)], found

    code, found = reconcile(house, "--correct")
    assert found["corrected"]["resends"] == 2
    wait_for(lambda: stands_at(house, "calls") == 4, 120, "the budget to go down")
    assert stands_at(house, "money") == counted // 3 * 4
    code, found = reconcile(house)
    assert (code, kinds(found)) == (0, []), found
    code, found = reconcile(house, "--correct")
    assert found["corrected"]["resends"] == 0
    assert stands_at(house, "calls") == 4


def test_what_cannot_be_asked_is_no_residual(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamgauge", "reconcile"],
        env={"STREAMGAUGE_KAFKA__BOOTSTRAP": "127.0.0.1:1", "PATH": "", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "cannot be reached" in done.stderr
