"""Checkpoints: back as they were, in messages that brokers take, and refused when something is missing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Settlement, Shard
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.state_records import (
    PART_BYTES,
    STATE_VERSION,
    StateError,
    read_checkpoints,
    sums_arrays,
    sums_table,
    write_checkpoint,
)
from tests.streams.agents.samples import budget, budget_row, cell, control, message, us

NOON = us("2026-11-10T12:00:00+00:00")
MINUTE = 60_000_000
CONFIG = AgentsConfig(snapshot_deltas=3, spikes=SpikePolicy(enabled=False))


def keep(records: dict[str, bytes], settlement: Settlement | None) -> None:
    for key, value in settlement.records if settlement is not None else ():
        if value is None:
            del records[key]
        else:
            records[key] = value


def test_a_large_table_comes_back_from_parts_that_fit() -> None:
    rng = np.random.default_rng(0)
    keys = np.unique(rng.integers(0, 2**60, 200_000, dtype=np.uint64))
    sums = rng.integers(0, 2**62, (len(keys), 7))
    written = write_checkpoint(0, True, {}, {"minute": sums_table(keys, sums)}, [])
    assert all(len(value) <= PART_BYTES for _, value in written if value is not None)
    assert len(written) > 10
    (checkpoint,) = read_checkpoints({key: value for key, value in written if value is not None})
    back_keys, back_sums = sums_arrays(checkpoint.tables["minute"])
    assert (back_keys == keys).all()
    assert (back_sums == sums).all()


def test_a_shard_comes_back_from_snapshot_and_deltas() -> None:
    b = budget("b", "10")
    shard = Shard(0, Counts(1, 1), CONFIG)
    records: dict[str, bytes] = {}
    for step in range(12):
        at = NOON + step * 50 * MINUTE
        rows = [cell(at, f"team-{step % 3}", calls=step), budget_row(b, at, "1")]
        shard.offer(message(step, step * 10, step * 10 + 10, at, rows))
        keep(records, shard.settle(at, control(b), force=True))
        back = Shard(0, Counts(1, 1), CONFIG)
        back.restore(read_checkpoints(records))
        for team in range(3):
            assert back.team_totals(f"team-{team}") == shard.team_totals(f"team-{team}")
        assert back.chain.applied == shard.chain.applied
        assert back.watermarks.now == shard.watermarks.now
        assert back.budgets.verdicts.crossings.all == shard.budgets.verdicts.crossings.all
    assert 1 <= sum(key.endswith("meta") for key in records) <= 5, "snapshots retire older deltas"


def test_a_restored_shard_goes_on_with_the_next_sequence() -> None:
    shard = Shard(0, Counts(1, 1), CONFIG)
    records: dict[str, bytes] = {}
    shard.offer(message(0, 0, 10, NOON, [cell(NOON)]))
    keep(records, shard.settle(NOON, control(), force=True))
    back = Shard(0, Counts(1, 1), CONFIG)
    back.restore(read_checkpoints(records))
    back.offer(message(1, 10, 20, NOON, [cell(NOON)]))
    keep(records, back.settle(NOON, control(), force=True))
    assert [checkpoint.sequence for checkpoint in read_checkpoints(records)] == [0, 1]


def deltas(count: int) -> dict[str, bytes]:
    records: dict[str, bytes] = {}
    for sequence in range(count):
        table = sums_table(np.array([sequence], np.uint64), np.ones((1, 2), np.int64))
        written = write_checkpoint(sequence, sequence == 0, {}, {"day": table}, [])
        records |= {key: value for key, value in written if value is not None}
    return records


def test_a_missing_delta_is_refused_by_name() -> None:
    records = deltas(4)
    del records["000000000002/0"]
    with pytest.raises(StateError, match=r"misses a delta among 0…3"):
        read_checkpoints(records)


def test_an_unfinished_last_checkpoint_is_left_out() -> None:
    records = deltas(4)
    del records["000000000003/0"]
    assert [checkpoint.sequence for checkpoint in read_checkpoints(records)] == [0, 1, 2]


def test_deltas_without_a_snapshot_are_refused() -> None:
    records = {key: value for key, value in deltas(3).items() if not key.startswith("000000000000")}
    with pytest.raises(StateError, match="no snapshot"):
        read_checkpoints(records)


def test_a_newer_version_is_refused() -> None:
    records = deltas(1)
    newer = records["000000000000/meta"].replace(b'"version":%d' % STATE_VERSION, b'"version":%d' % (STATE_VERSION + 1))
    with pytest.raises(StateError, match="upgrade"):
        read_checkpoints({**records, "000000000000/meta": newer})


def test_the_last_row_of_a_key_rules() -> None:
    table = pa.concat_tables([sums_table(np.array([7], np.uint64), np.array([[value]])) for value in (1, 2, 3)])
    keys, sums = sums_arrays(table)
    assert (keys.tolist(), sums.tolist()) == ([7], [[3]])
