"""Plans against what is in force, and their transaction on real brokers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from runtime.control_log import ControlLog
from schemas.control.budgets import Budget
from schemas.control.records import ControlRecord, dump_record, record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.topics import Topics
from streamgauge.apply import ApplyError, Change, Overtaken, Plan, load_files, make_plan, publish_plan
from streamgauge.tail import read_topic

KEY = b"a-key-of-16-bytes-or-more"
TEAMS = "kind: directory\nteams:\n  - {id: search}\n  - {id: support}\n"
BUDGET = "kind: budget\nid: month\nscope: {team: search}\nlimit: 5\nperiod: month\n"


def plan_of(folder: Path, text: str, current: ControlSnapshot, *, prune: bool = False) -> Plan:
    file = folder / "f.yaml"
    file.write_text(text, encoding="utf-8")
    return make_plan(load_files([file], KEY), current, prune=prune)


def told(plan: Plan) -> list[tuple[str, str]]:
    return [(change.action, change.key) for change in plan.changes]


def in_force(*plans: Plan) -> ControlSnapshot:
    """The snapshot after plans, without a broker."""
    snapshot = ControlSnapshot()
    for plan in plans:
        changes: dict[str, tuple[int, ControlRecord | None]] = {
            change.key: (snapshot.position, change.record) for change in plan.changes
        }
        snapshot = snapshot.with_changes(changes, snapshot.position + 1)
    return snapshot


def test_only_what_changed_is_published(tmp_path: Path) -> None:
    first = plan_of(tmp_path, f"{TEAMS}---\n{BUDGET}", ControlSnapshot())
    assert told(first) == [("create", "team/search"), ("create", "team/support"), ("create", "budget/month")]
    current = in_force(first)
    assert plan_of(tmp_path, f"{TEAMS}---\n{BUDGET}", current) == Plan((), 3, 0)
    changed = plan_of(tmp_path, f"{TEAMS}---\n{BUDGET.replace('5', '6')}", current)
    assert (told(changed), changed.unchanged) == ([("update", "budget/month")], 2)


def test_prune_deletes_within_the_kinds_of_the_files(tmp_path: Path) -> None:
    current = in_force(plan_of(tmp_path, f"{TEAMS}---\n{BUDGET}", ControlSnapshot()))
    other = BUDGET.replace("month", "day")
    kept = plan_of(tmp_path, other, current)
    assert (told(kept), kept.unmanaged) == ([("create", "budget/day")], 1)
    pruned = plan_of(tmp_path, other, current, prune=True)
    assert (told(pruned), pruned.unmanaged) == ([("delete", "budget/month"), ("create", "budget/day")], 0)


def test_what_is_in_force_may_be_named_and_may_not_be_orphaned(tmp_path: Path) -> None:
    current = in_force(plan_of(tmp_path, f"{TEAMS}---\n{BUDGET}", ControlSnapshot()))
    assert told(plan_of(tmp_path, BUDGET.replace("id: month", "id: other"), current)) == [("create", "budget/other")]
    with pytest.raises(ApplyError, match="budget/month, which is in force, needs it"):
        plan_of(tmp_path, "kind: directory\nteams:\n  - {id: support}\n", current, prune=True)


def test_one_apply_is_one_transaction(bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    connection, topics = KafkaConnection(bootstrap), Topics(f"{topic_prefix}.", 2, 2)
    create_topics(connection, topics, replication=1)
    log = ControlLog(connection, topics.control)
    plan = plan_of(tmp_path, f"{TEAMS}---\n{BUDGET}", log.read_to_end())
    publish_plan(plan, connection, topics)
    snapshot = log.read_to_end()
    assert {key: dump_record(record) for key, record in snapshot.records.items()} == {
        change.key: dump_record(change.record) for change in plan.changes if change.record is not None
    }
    assert plan_of(tmp_path, f"{TEAMS}---\n{BUDGET}", snapshot).changes == ()
    publish_plan(plan_of(tmp_path, BUDGET.replace("month", "day"), snapshot, prune=True), connection, topics)
    assert set(log.read_to_end().budgets) == {"day"}
    log.close()
    # One control record closes each of the two transactions.
    assert [record.offset for record in read_topic(connection, topics.control)] == [0, 1, 2, 4, 5]


@pytest.mark.kafka
def test_a_crash_before_the_commit_leaves_what_was_in_force(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    connection, topics = KafkaConnection(kafka_bootstrap), Topics(f"{topic_prefix}.", 2, 2)
    create_topics(connection, topics, replication=1)
    crashed = Producer(connection.librdkafka(transactional_id=f"{topics.prefix}streamgauge.apply"))
    crashed.init_transactions(30)
    crashed.begin_transaction()
    half = plan_of(tmp_path, TEAMS, ControlSnapshot()).changes[0]
    assert half.record is not None
    crashed.produce(topics.control, key=half.key, value=dump_record(half.record), partition=0)
    crashed.flush(10)
    # The next apply fences what is open: readers see its records and none of the half.
    publish_plan(plan_of(tmp_path, BUDGET, ControlSnapshot()), connection, topics)
    log = ControlLog(connection, topics.control)
    assert set(log.read_to_end().records) == {"budget/month"}
    log.close()


def test_of_two_applies_at_once_one_stands_whole(bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """The second begins after the first has made sure of what it changes: the first publishes nothing, and says so."""
    connection, topics = KafkaConnection(bootstrap), Topics(f"{topic_prefix}.", 2, 2)
    create_topics(connection, topics, replication=1)
    second = plan_of(tmp_path, BUDGET, ControlSnapshot())
    with pytest.raises(Overtaken, match="run it again"):
        publish_plan(
            plan_of(tmp_path, TEAMS, ControlSnapshot()),
            connection,
            topics,
            check=lambda: publish_plan(second, connection, topics),
        )
    log = ControlLog(connection, topics.control)
    assert set(log.read_to_end().records) == {"budget/month"}
    log.close()


def test_a_check_that_fails_publishes_nothing(bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    connection, topics = KafkaConnection(bootstrap), Topics(f"{topic_prefix}.", 2, 2)
    create_topics(connection, topics, replication=1)

    def moved() -> None:
        raise Overtaken

    with pytest.raises(Overtaken):
        publish_plan(plan_of(tmp_path, TEAMS, ControlSnapshot()), connection, topics, check=moved)
    publish_plan(plan_of(tmp_path, BUDGET, ControlSnapshot()), connection, topics)
    log = ControlLog(connection, topics.control)
    assert set(log.read_to_end().records) == {"budget/month"}
    log.close()


@pytest.mark.kafka
def test_a_large_apply_is_seen_whole_by_a_reader_that_follows(kafka_bootstrap: str, topic_prefix: str) -> None:
    """More than one fetch holds: a worker must not decide by half of it in between."""
    connection, topics = KafkaConnection(kafka_bootstrap), Topics(f"{topic_prefix}.", 2, 2)
    create_topics(connection, topics, replication=1)
    log = ControlLog(connection, topics.control)
    log.read_to_end()
    budgets = [
        Budget.model_validate({"id": f"b{number}", "limit": 1, "period": "day", "note": "x" * 100})
        for number in range(12_000)
    ]
    changes = tuple(Change("create", record_key(one), one) for one in budgets)
    publish_plan(Plan(changes, 0, 0), connection, topics)
    seen = set()
    deadline = time.monotonic() + 60
    while len(log.snapshot.records) < len(budgets):
        assert time.monotonic() < deadline
        seen.add(len(log.poll(0.1).records))
    log.close()
    assert seen <= {0, len(budgets)}
