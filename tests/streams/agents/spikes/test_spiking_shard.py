"""A whole shard with spikes on: stopped in the middle of an episode, what it has stored tells the same as before."""

from __future__ import annotations

from schemas.alerts import Alert
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Settlement, Shard
from streams.agents.state_records import read_checkpoints
from streams.agents.tally_message import TallyMessage
from tests.streams.agents.samples import cell, control, message, us
from tests.streams.agents.spikes.flat_use import NANO, POLICY

BUCKET_US = 300_000_000
MONDAY = us("2026-10-05T00:00:00+00:00")
CONFIG = AgentsConfig(spikes=POLICY)
#: A day and six hours of the usual, an hour of a runaway, and an hour until it is calm.
RISE, CALM, END = 30 * 12, 31 * 12, 32 * 12


def message_of(bucket: int) -> TallyMessage:
    """All use of one bucket, in which thirty calls of one use case are usual."""
    begin_us = MONDAY + bucket * BUCKET_US
    calls = 330 if RISE <= bucket < CALM else 30
    rows = [
        cell(
            begin_us,
            use_case="help",
            model_class="standard",
            calls=calls,
            input_tokens=900 * calls,
            output_tokens=100 * calls,
            cost_nanousd=calls * NANO // 50,
        )
    ]
    return message(bucket, bucket * 10, bucket * 10 + 10, begin_us + BUCKET_US - 1, rows)


def told(shard: Shard, first: int, limit: int, stored: dict[str, bytes]) -> list[Alert]:
    """What the shard tells of the buckets [first, limit); `stored` is kept up to date."""
    alerts: list[Alert] = []
    for bucket in range(first, limit):
        shard.offer(message_of(bucket))
        if bucket >= RISE - 2 or bucket % 36 == 0:
            settlement = shard.settle(MONDAY + (bucket + 1) * BUCKET_US, control(), force=True)
            alerts += _kept(stored, settlement)
    return alerts


def _kept(stored: dict[str, bytes], settlement: Settlement | None) -> list[Alert]:
    if settlement is None:
        return []
    for key, value in settlement.records:
        if value is None:
            del stored[key]
        else:
            stored[key] = value
    return [alert for alert in settlement.alerts if alert.kind == "spike"]


def test_a_restart_in_the_middle_of_an_episode_tells_the_same() -> None:
    stored: dict[str, bytes] = {}
    shard = Shard(0, Counts(1, 1), CONFIG)
    began = told(shard, 0, RISE + 6, stored)
    assert [alert.state for alert in began][:1] == ["firing"]
    again = Shard(0, Counts(1, 1), CONFIG)
    again.restore(read_checkpoints(stored))
    went_on = told(shard, RISE + 6, END, dict(stored))
    assert [alert.state for alert in went_on][-1] == "resolved"
    assert {alert.alert_id for alert in began + went_on} == {began[0].alert_id}
    assert told(again, RISE + 6, END, dict(stored)) == went_on
