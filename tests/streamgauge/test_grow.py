"""An installation gets more input partitions while it holds data, and every sum stays exact."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from runtime.admin import list_partitions
from runtime.group_admin import GroupInUse
from runtime.grow import CannotGrow, grow_events
from schemas.control.budgets import Budget
from schemas.topics import Topics
from streamgauge.cli.role import groups_of
from streamgauge.offsets import ROLES
from tests.support.enrich import event, send_events
from tests.support.house import TestHouse, wait_for

pytestmark = pytest.mark.kafka
EVENTS = 40


@pytest.fixture
def house(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TestHouse]:
    with TestHouse(kafka_bootstrap, tmp_path, f"{topic_prefix}.", partitions=(2, 1)) as running:
        yield running


def used(house: TestHouse) -> int:
    return int(house.query("SELECT max(used) FROM governance_status FINAL WHERE state != 'retired'")[0][0])


def test_input_partitions_grow_and_every_sum_stays_exact(house: TestHouse) -> None:
    house.apply(Budget(id="day", unit="calls", limit=Decimal(10 * EVENTS), period="day"))
    house.start()
    send_events(house.connection, house.topics, [event(number) for number in range(EVENTS)])
    wait_for(lambda: used(house) == EVENTS, 90, "the first events in the budget")
    groups = [group for role in ROLES for group in groups_of(role, house.topics).values()]
    with pytest.raises(GroupInUse):
        grow_events(house.connection, house.topics, 3, groups)

    # Somebody grows usage.events alone: every role ends by itself and prints the migration.
    admin = AdminClient(house.connection.librdkafka())
    admin.create_partitions([NewPartitions(house.topics.events, 3)])[house.topics.events].result()
    for role in house.roles.values():
        wait_for(lambda role=role: not role.alive, 90, f"{role.name} to stop")  # type: ignore[misc]
        assert role.exit_code == 1
        assert "`streamgauge topics --grow-events 3`" in role.log_path.read_text()

    grown = subprocess.run(
        [sys.executable, "-m", "streamgauge", "topics", "--grow-events", "3", "--json"],
        env=house.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert grown.returncode == 0, grown.stderr
    assert [one["name"] for one in json.loads(grown.stdout)] == [
        house.topics.fingerprints,
        house.topics.enriched,
        house.topics.outcomes,
    ]
    house.topics = Topics(house.topics.prefix, 3, 1)
    counts = list_partitions(admin)
    assert {counts[name] for name in (house.topics.events, house.topics.enriched, house.topics.fingerprints)} == {3}
    with pytest.raises(CannotGrow, match="cannot take partitions away"):
        grow_events(house.connection, house.topics, 2, groups)

    house.start()
    send_events(house.connection, house.topics, [event(EVENTS + number) for number in range(EVENTS)])
    wait_for(lambda: used(house) == 2 * EVENTS, 90, "all events in the budget")
    sums = "SELECT count(), uniqExact(src_partition), sum(input_tokens) FROM usage_events"
    wait_for(lambda: house.query(sums)[0][0] == 2 * EVENTS, 60, "all rows")
    assert tuple(house.query(sums)[0]) == (2 * EVENTS, 3, sum(100 + number for number in range(2 * EVENTS)))
