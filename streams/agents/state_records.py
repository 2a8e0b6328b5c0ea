"""In: what changed in a shard. Out: records for `usage.state`, and back: the checkpoints that stand there.

A checkpoint is a meta record and numbered parts, all keyed by its sequence number: `000000000042/meta`,
`000000000042/0`, …. A part is an Arrow IPC stream with full values of changed rows (a delta) or of all rows (a
snapshot), never increments, so that reading one twice is harmless. A snapshot retires every older key by tombstone in
its own transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from streams.agents.arrow_columns import integers

#: Version of keys, metas and parts. A reader refuses a higher one by name: it would forget what it does not know. 2
#: adds the position in the adjustments and what is known of sources; version 1 is read as one that has neither. 3 adds
#: output tokens to what budgets used, and what was told of exceptions. 4 holds spikes by team and use case: what
#: versions before learnt of them is not read.
STATE_VERSION: Final = 4
#: No produced message above 900 kB (design, part 5).
PART_BYTES: Final = 900_000
_META: Final = "meta"
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")

StateRecord = tuple[str, bytes | None]


class StateError(RuntimeError):
    """`usage.state` does not hold what this version can go on from."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint. `positions` is the shard's own JSON; `tables` what it holds by table name, parts joined."""

    sequence: int
    full: bool
    parts: int
    positions: Mapping[str, Any]
    tables: Mapping[str, pa.Table]


def sums_table(keys: np.ndarray, sums: np.ndarray) -> pa.Table:
    """Columns `key` and `s0`, `s1`, …"""
    columns = {"key": pa.array(keys)} | {f"s{i}": pa.array(sums[:, i]) for i in range(sums.shape[1])}
    return pa.table(columns)


def sums_arrays(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The reverse, keys in order; of a key that stands more than once, the last row rules."""
    keys = integers(table["key"])
    sums = np.stack([integers(table[name]) for name in table.column_names[1:]], axis=1)
    order = np.argsort(keys, kind="stable")
    keys, sums = keys[order], sums[order]
    last = np.flatnonzero(np.concatenate((keys[1:] != keys[:-1], [True]))) if len(keys) else np.zeros(0, int)
    return keys[last], sums[last]


def write_checkpoint(
    sequence: int, full: bool, positions: Mapping[str, Any], tables: Mapping[str, pa.Table], retired: Sequence[str]
) -> list[StateRecord]:
    """Records in the order to produce them; the meta comes last, so a checkpoint without it is no checkpoint."""
    parts = [part for name, table in tables.items() if table.num_rows for part in _parts(name, table)]
    records: list[StateRecord] = [(key, None) for key in retired]
    records += [(f"{sequence:012d}/{number}", part) for number, part in enumerate(parts)]
    meta = {"version": STATE_VERSION, "sequence": sequence, "full": full, "parts": len(parts), "positions": positions}
    records.append((f"{sequence:012d}/{_META}", json.dumps(meta, separators=(",", ":")).encode()))
    return records


def keys_of(sequence: int, parts: int) -> list[str]:
    return [f"{sequence:012d}/{number}" for number in range(parts)] + [f"{sequence:012d}/{_META}"]


def _parts(name: str, table: pa.Table) -> list[bytes]:
    """The table as IPC streams that each fit a message; halved until they do."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.with_metadata({"table": name}), options=_OPTIONS) as writer:
        writer.write_table(table.replace_schema_metadata({"table": name}))
    encoded = sink.getvalue().to_pybytes()
    if len(encoded) <= PART_BYTES:
        return [encoded]
    if table.num_rows == 1:
        raise StateError(
            f"one row of state table {name} takes {len(encoded)} bytes, more than {PART_BYTES}: cannot be stored"
        )
    half = table.num_rows // 2
    return _parts(name, table.slice(0, half)) + _parts(name, table.slice(half))


def read_checkpoints(records: Mapping[str, bytes]) -> list[Checkpoint]:
    """The last complete snapshot and every complete delta after it, in order; empty when nothing was ever stored.

    StateError for a newer version, or when a delta in between is missing.
    """
    metas = sorted(
        (_read_meta(key, value, len(records)) for key, value in records.items() if key.endswith(_META)),
        key=lambda meta: meta["sequence"],
    )
    for meta in metas:
        if meta["version"] > STATE_VERSION:
            raise StateError(
                f"state has version {meta['version']}, this process knows {STATE_VERSION}: upgrade it first"
            )
    whole = [meta for meta in metas if all(key in records for key in keys_of(meta["sequence"], meta["parts"]))]
    snapshots = [meta["sequence"] for meta in whole if meta["full"]]
    if not snapshots:
        if whole:
            raise StateError(
                f"usage.state holds deltas {whole[0]['sequence']}… but no snapshot: it was truncated. "
                "Stop all agents and run `streamgauge rebuild`"
            )
        return []
    wanted = [meta for meta in whole if meta["sequence"] >= snapshots[-1]]
    sequences = [meta["sequence"] for meta in wanted]
    if sequences != list(range(sequences[0], sequences[0] + len(sequences))):
        raise StateError(
            f"usage.state misses a delta among {sequences[0]}…{sequences[-1]}: it was truncated. "
            "Stop all agents and run `streamgauge rebuild`"
        )
    return [_read(meta, records) for meta in wanted]


def _read_meta(key: str, value: bytes, most: int) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads(value)
        whole = all(isinstance(meta[name], int) for name in ("version", "sequence", "full", "parts"))
        if whole and meta["parts"] > most:
            # As good as missing: a part beyond those that stand cannot be there.
            meta["parts"] = most
        if not (whole and meta["sequence"] >= 0 and meta["parts"] >= 0 and isinstance(meta["positions"], dict)):
            raise ValueError("fields of a wrong kind")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _unreadable(key, error) from error
    return meta


def _unreadable(key: str, error: Exception) -> StateError:
    said = (str(error) or type(error).__name__).splitlines()[0][:200]
    return StateError(
        f"the record {key} of usage.state cannot be read ({said}): stop all agents and run `streamgauge rebuild`"
    )


def _read(meta: Mapping[str, Any], records: Mapping[str, bytes]) -> Checkpoint:
    tables: dict[str, list[pa.Table]] = {}
    for key in keys_of(meta["sequence"], meta["parts"])[:-1]:
        try:
            with pa.ipc.open_stream(records[key]) as reader:
                table = reader.read_all()
            table.validate(full=True)
            name = (table.schema.metadata or {})[b"table"].decode()
        except (pa.ArrowException, ValueError, OSError, LookupError, TypeError, MemoryError) as error:
            raise _unreadable(key, error) from error
        tables.setdefault(name, []).append(table.replace_schema_metadata(None))
    joined = {name: pa.concat_tables(parts) for name, parts in tables.items()}
    return Checkpoint(meta["sequence"], meta["full"], meta["parts"], meta["positions"], joined)
