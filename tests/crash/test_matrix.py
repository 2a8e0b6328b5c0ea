"""The crash matrix in its short form: a dozen faults over all roles; and that its parts can fail.

`make crash` has all of it.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.company import BEGIN_US, DAY_US, RULES
from tests.crash.faults import killed_at_points, killed_at_random, stalled
from tests.crash.findings import compare
from tests.crash.groups import Dice, Group
from tests.crash.matrix import compared_again, run_group
from tests.crash.oracle import Expected, Garbage, Oracle, Position, Told, price_of, start_of
from tests.crash.points import POINTS, ROLES, Point, Role
from tests.crash.role import method_of
from tests.crash.stage import Program, Stage
from tests.crash.traffic import Traffic
from tests.crash.workers import Strike

SEED = 20260302
STEPS: dict[Role, tuple[str, ...]] = {
    "enrich": ("after 2", "in a repeat, after 2", "3 half"),
    "agents": ("4 all", "after 4, alerts"),
    "sink": ("after 3", "after 5", "records after 3"),
}


def steps(stage: Stage, _dice: Dice) -> list[Program]:
    return [
        killed_at_points(
            stage,
            stage.crews[role].slot(0),
            [Strike(POINTS[f"{role}: {name}"]) for name in STEPS[role]],
            f"{role} killed at a step",
        )
        for role in ROLES
    ]


def pairs(stage: Stage, dice: Dice) -> list[Program]:
    zombie = Strike(POINTS["enrich: 3 half"], 2, signal.SIGSTOP)
    enrich, agents, sink = (stage.crews[role] for role in ROLES)
    return [
        stalled(stage, enrich, enrich.slot(1), dice.named("enrich"), [zombie], "enrich stalled"),
        stalled(stage, agents, agents.slot(1), dice.named("agents"), [None], "agents stalled"),
        killed_at_random(stage, sink.slot(1), dice.named("sink"), 2, "sink killed", 4.0),
    ]


@pytest.mark.kafka
@pytest.mark.slow
def test_a_dozen_faults_lose_and_double_nothing(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    said: list[str] = []
    with Stage(kafka_bootstrap, None, tmp_path, f"{topic_prefix}.", SEED, 250) as stage:
        for group, most in ((Group("steps", "", 0, steps), 8), (Group("pairs", "", 2, pairs), 4)):
            result = run_group(stage, group, Dice(SEED, group.name), said.append)
            assert result.failures == ()
            assert result.findings.clean, result.findings.text()
            assert not result.residual, result.residual_text
            assert sum(result.faults.values()) == most
            assert result.events > 1_000
        assert (last := compared_again(stage)).clean, last.text()
        _assert_that_it_notices(stage)


def _assert_that_it_notices(stage: Stage) -> None:
    """Had one event, one alert or one refusal been lost or doubled, the comparison would have said so."""
    oracle, subscriber = stage.oracle, stage.subscriber
    some = next(iter(oracle.accepted.values()))
    oracle.take(0, 10**9, [some | {"event_id": "pairs-never-sent"}, some | {"input_tokens": -1}])
    known = next(iter(oracle.outcomes))
    oracle.outcomes.remove(known)
    crossing = next(heard for heard in subscriber.heard if heard.told is not None)
    subscriber.heard.append(crossing)
    subscriber.times[crossing.alert_id, crossing.revision] += 1
    found = compare(stage.house, oracle, subscriber, stage.web_ports(), "pairs")
    assert found.lost == [
        f"event {some['source']} pairs-never-sent",
        f"refusal {Position('events', 0, 10**9, 1)}",
    ]
    assert f"outcome {known} should not be there" in found.wrong
    assert any(entry.startswith("team and minute") for entry in found.wrong)
    assert any(entry.startswith("ledger") for entry in found.wrong)
    assert any(entry.startswith("totals by hour") for entry in found.wrong)
    assert f"alert {(crossing.alert_id, crossing.revision)} came 2 times" in found.repeated


@pytest.mark.parametrize("point", POINTS.values(), ids=lambda point: point.key)
def test_every_point_is_there(point: Point) -> None:
    """A method that was renamed or moved would make its point a blank."""
    method_of(point)


def test_the_same_seed_gives_the_same_input() -> None:
    one, other, another = Traffic(1, 4), Traffic(1, 4), Traffic(2, 4)
    first = [one.next() for _ in range(500)]
    assert first == [other.next() for _ in range(500)]
    assert first != [another.next() for _ in range(500)]


def test_the_input_has_all_that_the_matrix_is_about() -> None:
    traffic, oracle, ends = Traffic(3, 4), Oracle(), Counter[tuple[str, int]]()
    for sent in [*(traffic.next() for _ in range(8_000)), *traffic.close()]:
        offset = ends[sent.topic, sent.partition]
        ends[sent.topic, sent.partition] += 1
        if sent.topic == "outcomes":
            assert not isinstance(sent.content, Garbage)
            oracle.take_outcome(sent.partition, offset, sent.content[0])
        else:
            oracle.take(sent.partition, offset, sent.content)
    codes = set(oracle.refused.values())
    assert {"id_conflict", "negative_count", "missing_field", "broken_invariant", "bad_json", "empty"} <= codes
    assert oracle.duplicates > 100
    assert len(oracle.outcomes) > 50
    alerts = oracle.alerts(4)
    assert {told.level for told in alerts} == {"warning", "soft", "hard"}
    assert any(expected.resolved for expected in alerts.values())


def test_the_oracle_by_hand() -> None:
    oracle = Oracle()
    event = {
        "event_id": "a-1",
        "source": "s",
        "occurred_at": BEGIN_US,
        "model": "crash-small",
        "input_tokens": 1_001,
        "output_tokens": 3,
        "cache_read_tokens": 100,
        "credential_id": "key-2",
    }
    oracle.take(0, 0, [event, event, event | {"output_tokens": 4}])
    oracle.take(0, 1, Garbage("empty"))
    assert (oracle.read, oracle.duplicates, len(oracle.accepted)) == (4, 1, 1)
    assert oracle.refused == {Position("events", 0, 0, 2): "id_conflict", Position("events", 0, 1, 0): "empty"}
    # 901 at 37.5 nano-USD, 100 at 7.5, 3 at 300.5: 33,787.5 + 750 + 901.5 = 35,439.
    assert price_of(event) == (35_439, 0)
    assert price_of(event | {"model": "crash-large", "occurred_at": BEGIN_US + 3 * DAY_US})[0] == 2_315_000
    assert price_of(event | {"model": "who knows"}) == (None, 10_010_000 + 120_000)
    by_id = {rule.id: rule for rule in RULES}
    assert start_of(by_id["team-3-usd"], BEGIN_US) == BEGIN_US - DAY_US * 17 // 24 - DAY_US // 48
    assert oracle.used["team-2-calls", BEGIN_US - DAY_US // 2] == 1
    assert oracle.used["team-0-usd", BEGIN_US - DAY_US // 2] == 0

    oracle.used["team-2-calls", BEGIN_US - DAY_US // 2] = by_id["team-2-calls"].limit
    told = [Told("team-2-calls", BEGIN_US - DAY_US // 2, level) for level in ("warning", "soft")]
    assert oracle.alerts(1) == dict.fromkeys(told, Expected(resolved=False))
    oracle.take(0, 2, [event | {"event_id": "a-2", "occurred_at": BEGIN_US + DAY_US}])
    assert oracle.alerts(1) == dict.fromkeys(told, Expected(resolved=True))
