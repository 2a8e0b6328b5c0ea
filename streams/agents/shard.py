"""In: the messages of one tally partition, the control snapshot, the time. Out: settlements: alerts, statuses, state
records.

Pure: no Kafka, no Faust, no clock. `offer` only judges and keeps a message; `settle` folds what was offered in one
go, judges budgets and spikes, and says what has to be written in one transaction. A settlement that was not committed
is lost with the shard: whoever opens it again starts from the last committed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.batch import Entry, read_rows
from streams.agents.budgets import BudgetBook, StatusRecord
from streams.agents.chain import Chain, Hole, Ready
from streams.agents.config import AgentsConfig
from streams.agents.names import Names
from streams.agents.positions_state import dump_positions, load_positions
from streams.agents.spikes.baseline import TEAM
from streams.agents.spikes.buckets import CLASS_LIMIT, TEAM_LIMIT
from streams.agents.spikes.watch import SpikeWatch
from streams.agents.state_records import (
    Checkpoint,
    StateRecord,
    keys_of,
    sums_arrays,
    sums_table,
    write_checkpoint,
)
from streams.agents.sums import SumTable
from streams.agents.tally_message import TallyMessage
from streams.agents.verdicts import Timeline
from streams.agents.watermarks import Watermarks
from streams.agents.windows import TeamWindow, TeamWindows

#: Heartbeats alone are not worth a checkpoint until a restart would have to read this many of them again.
_IDLE_MESSAGES: Final = 10_000
#: Deltas outgrow the policy by at most this factor while they are still smaller than a snapshot.
_MOST_DELTAS: Final = 10


@dataclass(frozen=True, slots=True)
class Counts:
    """Partition counts of the installation: of `usage.events` and of `usage.tallies`."""

    inputs: int
    tallies: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one transaction writes."""

    alerts: tuple[Alert, ...]
    statuses: tuple[StatusRecord, ...]
    records: tuple[StateRecord, ...]


class Shard:
    """The whole state of one tally partition. Not thread-safe."""

    def __init__(self, partition: int, counts: Counts, config: AgentsConfig, next_offset: int = 0) -> None:
        historical_us = config.historical_after_s * 1_000_000
        self.partition = partition
        self._config = config
        self.teams, self.classes = Names(TEAM_LIMIT), Names(CLASS_LIMIT)
        self.chain = Chain(next_offset)
        self.watermarks = Watermarks(counts.inputs)
        self.windows = TeamWindows()
        self.budgets = BudgetBook(partition, counts.tallies, counts.inputs, historical_us)
        self.spikes = SpikeWatch(config.spikes, self.teams, self.classes, historical_us)
        self._entries: list[Entry] = []
        self.pending_rows = 0
        self.folded_rows = 0
        #: Holes that could not be filled, since this process opened the shard.
        self.losses: list[Hole] = []
        self._alerts: list[Alert] = []
        self._changed = False
        self._told_offset = next_offset
        self._checkpoint_us: int | None = None
        self._named: dict[str, int] = {}
        self._sequence = 0
        self._live: list[tuple[int, int]] = []
        self._delta_bytes = self._snapshot_bytes = 0

    def begin(self, offset: int) -> None:
        """Start a fresh shard where its log begins."""
        self.chain.next_offset = self._told_offset = offset

    def sizes(self) -> dict[str, int]:
        """Rows held, by table."""
        return {name: len(table) for name, table in self._tables().items()}

    def offer(
        self, message: TallyMessage, *, accept_hole: bool = False
    ) -> Literal["applied", "held", "skipped"] | Hole:
        """Take one message. A Hole asks the caller to read back; `accept_hole` says that this was done in vain."""
        outcome = self.chain.offer(message, accept_hole=accept_hole)
        if not isinstance(outcome, Ready):
            return outcome
        partition, mark = message.range.partition, message.mark
        known = self.watermarks.inputs.get(partition)
        before = self.watermarks.now
        self.budgets.counting.observe(partition, mark, None if known is None else known.max_event_us)
        if outcome.lost is not None:
            self.losses.append(outcome.lost)
        if outcome.lost is not None or (outcome.first_ever and outcome.range.first > 0):
            self.budgets.counting.lose(mark.max_event_us)
        after = self.watermarks.observe(partition, mark)
        if outcome.tables or after != before:
            self._entries.append(Entry(outcome.tables, before, after))
            self.pending_rows += sum(table.num_rows for table in outcome.tables)
        self._changed |= bool(outcome.tables) or after != before or message.range.next > message.range.first
        return "applied"

    def settle(self, now_us: int, control: ControlSnapshot, *, force: bool = False) -> Settlement | None:
        """Fold and judge what was offered. None while nothing has to be written yet. `force`: write what changed
        now.
        """
        entries, self._entries, self.pending_rows = self._entries, [], 0
        cells, rows, count = read_rows(entries, self.teams, self.classes, self.budgets.totals.names)
        self.folded_rows += count
        now = self.watermarks.now
        timeline = Timeline(tuple(entry.after for entry in entries), now, before=entries[0].before if entries else now)
        if count:
            self.windows.fold(cells.keys, cells.sums, now.watermark_us)
            self.spikes.buckets.table.add(cells.bucket_keys, cells.bucket_sums)
        self._alerts += self.budgets.settle(rows, timeline, control, now_us)
        self._alerts += self.spikes.settle(timeline, control, now_us)
        self.windows.prune(now.watermark_us)
        if not self._due(now_us, force):
            return None
        statuses = self.budgets.take_statuses(now, self.chain.applied, now_us)
        settlement = Settlement(tuple(self._alerts), tuple(statuses), tuple(self._checkpoint()))
        self._alerts.clear()
        self._changed = False
        self._told_offset = self.chain.next_offset
        self._checkpoint_us = now_us
        return settlement

    def _due(self, now_us: int, force: bool) -> bool:
        """Alerts go at once, everything else at most once in `checkpoint_s`, and nothing when nothing changed."""
        if self._alerts:
            return True
        moved = self.chain.next_offset - self._told_offset
        if not (self._changed or self.budgets.has_statuses or moved >= _IDLE_MESSAGES):
            return False
        waited = self._checkpoint_us is None or now_us - self._checkpoint_us >= self._config.checkpoint_s * 1_000_000
        return force or waited

    def _tables(self) -> dict[str, SumTable]:
        return {
            **{str(name): table for name, table in self.windows.tables.items()},
            "budget": self.budgets.totals.table,
            "quarter": self.budgets.quarters.table,
            "bucket": self.spikes.buckets.table,
        }

    def _names(self) -> dict[str, Names]:
        return {"teams": self.teams, "classes": self.classes, "budgets": self.budgets.totals.names}

    def _checkpoint(self) -> list[StateRecord]:
        """Records of everything changed since the last checkpoint, or of everything when a snapshot is due."""
        deltas = len(self._live) - 1
        full = not self._live or (
            deltas >= self._config.snapshot_deltas
            and (self._delta_bytes >= self._snapshot_bytes or deltas >= _MOST_DELTAS * self._config.snapshot_deltas)
        )
        tables: dict[str, pa.Table] = {}
        for name, table in self._tables().items():
            tables[name] = sums_table(*(table.take_all() if full else table.take_changes()))
        for name, names in self._names().items():
            fresh = names.texts[0 if full else self._named.get(name, 0) :]
            self._named[name] = len(names)
            tables[f"names.{name}"] = pa.table({"text": pa.array(fresh, pa.utf8())})
        judged = self.spikes.take_rows()
        baselines = self.spikes.rows if full else judged
        if baselines is not None and len(baselines):
            tables["baselines"] = _baselines(baselines)
        documents = (
            self.budgets.documents() | self.spikes.documents()
            if full
            else self.budgets.take_documents() | self.spikes.take_documents()
        )
        tables["documents"] = pa.table(
            {"key": pa.array(documents, pa.utf8()), "text": pa.array(documents.values(), pa.utf8())}
        )
        retired = [key for sequence, parts in self._live for key in keys_of(sequence, parts)] if full else []
        records = write_checkpoint(self._sequence, full, self._positions(), tables, retired)
        size = sum(len(value) for _, value in records if value is not None)
        parts = len(records) - len(retired) - 1
        if full:
            self._live, self._snapshot_bytes, self._delta_bytes = [(self._sequence, parts)], size, 0
        else:
            self._live.append((self._sequence, parts))
            self._delta_bytes += size
        self._sequence += 1
        return records

    def _positions(self) -> dict[str, Any]:
        positions = dump_positions(self.chain, self.watermarks, self.budgets.counting)
        return positions | {"spikes_next": self.spikes.next, "spikes_quiet": self.spikes.quiet, "layout": TEAM.itemsize}

    def restore(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Go on from stored checkpoints; call once, on a fresh shard."""
        if not checkpoints:
            return
        positions = checkpoints[-1].positions
        load_positions(positions, self.chain, self.watermarks, self.budgets.counting)
        self.spikes.next, self.spikes.quiet = positions["spikes_next"], positions["spikes_quiet"]
        for name, names in self._names().items():
            for checkpoint in checkpoints:
                if (stored := checkpoint.tables.get(f"names.{name}")) is not None:
                    names.extend(stored["text"].to_pylist())
            self._named[name] = len(names)
        for name, table in self._tables().items():
            stored_parts = [checkpoint.tables[name] for checkpoint in checkpoints if name in checkpoint.tables]
            if stored_parts:
                table.put(*sums_arrays(pa.concat_tables(stored_parts)))
                table.take_changes()
        if self.spikes.next is not None:
            self.spikes.buckets.table.drop_before(self.spikes.next)
        documents: dict[str, str | None] = {}
        rows: np.ndarray | None = None
        for checkpoint in checkpoints:
            if (stored := checkpoint.tables.get("documents")) is not None:
                documents |= dict(zip(stored["key"].to_pylist(), stored["text"].to_pylist(), strict=True))
            if (stored := checkpoint.tables.get("baselines")) is not None and positions["layout"] == TEAM.itemsize:
                # A changed layout means a new detector: it learns afresh rather than misread the old one's memory.
                rows = np.frombuffer(b"".join(stored["row"].to_pylist()), dtype=TEAM).copy()
        kept = {key: text for key, text in documents.items() if text is not None}
        self.budgets.restore(kept)
        self.spikes.restore(rows, kept)
        self._sequence = checkpoints[-1].sequence + 1
        self._live = [(checkpoint.sequence, checkpoint.parts) for checkpoint in checkpoints]
        self._told_offset = self.chain.next_offset

    def team_totals(self, team: str) -> list[TeamWindow] | None:
        """All kept windows of a team, as of the last settlement; None for a team that this shard has never seen."""
        number = self.teams.find(team)
        return None if number is None else self.windows.of_team(number, self.watermarks.now.watermark_us)


def _baselines(rows: np.ndarray) -> pa.Table:
    binary = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(TEAM.itemsize), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows).tobytes())]
    )
    return pa.table({"row": binary})
