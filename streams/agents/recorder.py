"""In: the state of a shard. Out: checkpoint records of what changed, or of everything; and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from streams.agents.forecast.memory_table import FORECAST_LAYOUT, forecast_rows, forecasts_table
from streams.agents.names import Names
from streams.agents.positions_state import dump_positions, load_positions
from streams.agents.spikes.baseline import TEAM
from streams.agents.spikes.buckets import WIDTH
from streams.agents.spikes.ring import RUNNING
from streams.agents.state_records import (
    Checkpoint,
    StateRecord,
    keys_of,
    sums_arrays,
    sums_table,
    write_checkpoint,
)
from streams.agents.sums import SumTable

if TYPE_CHECKING:
    from streams.agents.shard import Shard

#: Deltas outgrow the policy by at most this factor while they are still smaller than a snapshot.
_MOST_DELTAS: Final = 10

#: What the rows and sums of spikes look like. A detector that counts otherwise learns afresh.
_SPIKES_LAYOUT: Final = [TEAM.itemsize, RUNNING.itemsize, WIDTH, 1]
_SPIKE_ROWS: Final = (("baselines", TEAM), ("running", RUNNING))


class Recorder:
    """Which checkpoints of one shard stand, and what changed since the last."""

    def __init__(self, shard: Shard, snapshot_deltas: int) -> None:
        self._shard, self._snapshot_deltas = shard, snapshot_deltas
        self._named: dict[str, int] = {}
        self._sequence = 0
        self._live: list[tuple[int, int]] = []
        self._delta_bytes = self._snapshot_bytes = 0
        #: Whether what stands is of another layout and has to go.
        self._renew = False

    def tables(self) -> dict[str, SumTable]:
        return {
            **{str(name): table for name, table in self._shard.windows.tables.items()},
            "budget": self._shard.budgets.totals.table,
            "quarter": self._shard.budgets.quarters.table,
            "bucket": self._shard.spikes.buckets.table,
            "pair_calls": self._shard.spikes.pair_calls,
            "forecast_hours": self._shard.forecasts.hours.all,
            "forecast_strays": self._shard.forecasts.hours.strays,
        }

    def _names(self) -> dict[str, Names]:
        return {
            "teams": self._shard.teams,
            "pairs": self._shard.pairs,
            "series": self._shard.spikes.roster.names,
            "classes": self._shard.classes,
            "budgets": self._shard.budgets.totals.names,
        }

    def checkpoint(self) -> list[StateRecord]:
        """Records of everything changed since the last checkpoint, or of everything when a snapshot is due."""
        deltas = len(self._live) - 1
        full = (not self._live or self._renew) or (
            deltas >= self._snapshot_deltas
            and (self._delta_bytes >= self._snapshot_bytes or deltas >= _MOST_DELTAS * self._snapshot_deltas)
        )
        tables: dict[str, pa.Table] = {}
        for name, table in self.tables().items():
            tables[name] = sums_table(*(table.take_all() if full else table.take_changes()))
        for name, names in self._names().items():
            fresh = names.texts[0 if full else self._named.get(name, 0) :]
            self._named[name] = len(names)
            tables[f"names.{name}"] = pa.table({"text": pa.array(fresh, pa.utf8())})
        for (name, _), rows in zip(_SPIKE_ROWS, self._shard.spikes.take_rows(full), strict=True):
            if rows is not None and len(rows):
                tables[name] = _structured(rows)
        if (learnt := self._shard.forecasts.take_rows(full)) is not None:
            tables["forecasts"] = forecasts_table(*learnt)
        documents: dict[str, str | None] = {}
        for part in (
            self._shard.budgets,
            self._shard.forecasts,
            self._shard.spikes,
            self._shard.ingest,
            self._shard.policy,
            self._shard.looks,
            self._shard.reviews,
            self._shard.spike_looks,
        ):
            documents |= part.documents() if full else part.take_documents()
        tables["documents"] = pa.table(
            {"key": pa.array(documents, pa.utf8()), "text": pa.array(documents.values(), pa.utf8())}
        )
        retired = [key for sequence, parts in self._live for key in keys_of(sequence, parts)] if full else []
        records = write_checkpoint(self._sequence, full, self._positions(), tables, retired)
        size = sum(len(value) for _, value in records if value is not None)
        parts = len(records) - len(retired) - 1
        if full:
            self._renew = False
            self._live, self._snapshot_bytes, self._delta_bytes = [(self._sequence, parts)], size, 0
        else:
            self._live.append((self._sequence, parts))
            self._delta_bytes += size
        self._sequence += 1
        return records

    def _positions(self) -> dict[str, Any]:
        positions = dump_positions(self._shard.chain, self._shard.watermarks, self._shard.budgets.counting)
        positions["adjusted"] = self._shard.adjusted
        return positions | {
            "spikes_next": self._shard.spikes.next,
            "spikes_quiet": self._shard.spikes.quiet,
            "ingest": self._shard.ingest.positions(),
            "forecasts": self._shard.forecasts.positions(),
            "forecast_layout": FORECAST_LAYOUT,
            "spikes_layout": _SPIKES_LAYOUT,
        }

    def restore(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Go on from stored checkpoints; call once, on a fresh shard."""
        if not checkpoints:
            return
        positions = checkpoints[-1].positions
        load_positions(positions, self._shard.chain, self._shard.watermarks, self._shard.budgets.counting)
        self._shard.adjusted = positions.get("adjusted", 0)
        # A changed layout means a new detector: it learns afresh rather than misread the old one's memory, and writes a
        # snapshot first, so that nobody reads both together.
        of_ours = positions.get("spikes_layout") == _SPIKES_LAYOUT
        self._renew = not of_ours
        if of_ours:
            self._shard.spikes.next, self._shard.spikes.quiet = positions["spikes_next"], positions["spikes_quiet"]
        self._restore_tables(checkpoints, () if of_ours else ("series", "bucket", "pair_calls"))
        documents: dict[str, str | None] = {}
        learnt: pa.Table | None = None
        for checkpoint in checkpoints:
            if (stored := checkpoint.tables.get("documents")) is not None:
                documents |= dict(zip(stored["key"].to_pylist(), stored["text"].to_pylist(), strict=True))
            learnt = checkpoint.tables.get("forecasts", learnt)
        kept = {key: text for key, text in documents.items() if text is not None}
        self._shard.budgets.restore(kept)
        if positions.get("forecast_layout") == FORECAST_LAYOUT:
            self._shard.forecasts.restore(positions["forecasts"], forecast_rows(learnt), kept)
        else:
            # Of before forecasts, or learnt otherwise: the warnings stand, the rest is learnt afresh.
            self._shard.forecasts.restore(None, None, kept)
        rows = [_last_rows(checkpoints, name, layout) if of_ours else None for name, layout in _SPIKE_ROWS]
        self._shard.spikes.restore(rows[0], rows[1], kept)
        self._shard.ingest.restore(positions.get("ingest"), kept)
        self._shard.policy.restore(kept)
        self._shard.looks.restore(kept)
        self._shard.reviews.restore(kept)
        self._shard.spike_looks.restore(kept)
        self._sequence = checkpoints[-1].sequence + 1
        self._live = [(checkpoint.sequence, checkpoint.parts) for checkpoint in checkpoints]

    def _restore_tables(self, checkpoints: Sequence[Checkpoint], without: Sequence[str]) -> None:
        """Names in their order, then sums."""
        for name, names in self._names().items():
            for checkpoint in checkpoints:
                if name not in without and (stored := checkpoint.tables.get(f"names.{name}")) is not None:
                    names.extend(stored["text"].to_pylist())
            self._named[name] = len(names)
        for name, table in self.tables().items():
            stored_parts = [checkpoint.tables[name] for checkpoint in checkpoints if name in checkpoint.tables]
            if stored_parts and name not in without:
                table.put(*sums_arrays(pa.concat_tables([_widened(name, part, table.width) for part in stored_parts])))
                table.take_changes()
        if self._shard.spikes.next is not None:
            self._shard.spikes.buckets.forget(self._shard.spikes.next)


def _widened(name: str, part: pa.Table, width: int) -> pa.Table:
    """Use of budgets as stored before output tokens were summed apart (state version 2): none is known of them."""
    if name not in ("budget", "quarter") or part.num_columns != width:
        return part
    none = pa.array(np.zeros(part.num_rows, dtype=np.int64))
    columns = [*part.columns[:5], none, *part.columns[5:]]
    return pa.table(columns, names=["key", *(f"s{number}" for number in range(width))])


def _last_rows(checkpoints: Sequence[Checkpoint], name: str, layout: np.dtype[Any]) -> np.ndarray | None:
    """The newest rows of a structured array that stand; None when there never were any."""
    for checkpoint in reversed(checkpoints):
        if (stored := checkpoint.tables.get(name)) is not None:
            rows: np.ndarray = np.frombuffer(b"".join(stored["row"].to_pylist()), dtype=layout).copy()
            return rows
    return None


def _structured(rows: np.ndarray) -> pa.Table:
    """Rows of a structured array, as one binary column."""
    binary = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(rows.dtype.itemsize), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows).tobytes())]
    )
    return pa.table({"row": binary})
