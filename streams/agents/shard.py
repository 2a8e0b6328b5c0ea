"""In: the messages of one tally partition, the control snapshot, the time. Out: settlements: alerts, statuses, state
records.

Pure: no Kafka, no Faust, no clock. `offer` only judges and keeps a message; `settle` folds what was offered in one
go, judges budgets and spikes, and says what has to be written in one transaction. A settlement that was not committed
is lost with the shard: whoever opens it again starts from the last committed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.adjustments import Corrections
from streams.agents.batch import BudgetRows, Entry, read_rows
from streams.agents.budgets import BudgetBook
from streams.agents.chain import Chain, Hole, Ready
from streams.agents.config import AgentsConfig
from streams.agents.forecast.book import ForecastBook
from streams.agents.ingest.watch import IngestWatch
from streams.agents.investigation.look import Looks
from streams.agents.investigation.spike_look import SpikeLooks
from streams.agents.names import Names
from streams.agents.policy.watch import PolicyWatch
from streams.agents.recorder import Recorder
from streams.agents.reviews.watch import Reviews
from streams.agents.spikes.buckets import CLASS_LIMIT, PAIR_LIMIT, TEAM_LIMIT
from streams.agents.spikes.pairs import Pairs
from streams.agents.spikes.watch import SpikeWatch
from streams.agents.state_records import Checkpoint, StateRecord
from streams.agents.status_writer import StatusRecord
from streams.agents.tally_message import TallyMessage
from streams.agents.verdicts import Timeline
from streams.agents.watermarks import Watermarks
from streams.agents.windows import TeamWindow, TeamWindows

#: Heartbeats alone are not worth a checkpoint until a restart would have to read this many of them again.
_IDLE_MESSAGES: Final = 10_000


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
    #: Statuses of budgets about one person, for a topic of their own.
    personal: tuple[StatusRecord, ...] = ()


class Shard:
    """The whole state of one tally partition. Not thread-safe."""

    def __init__(self, partition: int, counts: Counts, config: AgentsConfig, next_offset: int = 0) -> None:
        historical_us = config.historical_after_s * 1_000_000
        self.partition = partition
        self._config = config
        self.teams, self.classes = Names(TEAM_LIMIT), Names(CLASS_LIMIT)
        self.pairs = Pairs(PAIR_LIMIT)
        self.chain = Chain(next_offset)
        self.watermarks = Watermarks(counts.inputs)
        self.windows = TeamWindows()
        self.budgets = BudgetBook(partition, counts.tallies, counts.inputs, historical_us)
        self.forecasts = ForecastBook(self.budgets, historical_us)
        self.spikes = SpikeWatch(config.spikes, self.pairs, self.classes, historical_us)
        self.ingest = IngestWatch(config.ingest, counts.inputs)
        self.policy = PolicyWatch(config.policy, historical_us)
        self.looks = Looks()
        self.spike_looks = SpikeLooks(config.runbook)
        self.spikes.tell = self.spike_looks.tell
        self.reviews = Reviews(config.reviews, partition, counts.tallies, historical_us)
        self._entries: list[Entry] = []
        #: Next offset of the adjustment log, and rows of it that are not folded yet.
        self.adjusted = 0
        self._corrections: list[pa.Table] = []
        self.pending_rows = 0
        self.folded_rows = 0
        #: Holes that could not be filled, since this process opened the shard.
        self.losses: list[Hole] = []
        #: Alerts that came of judging and are not written yet.
        self.unsent: list[Alert] = []
        self._changed = False
        self._told_offset = next_offset
        self._checkpoint_us: int | None = None
        self.recorder = Recorder(self, config.snapshot_deltas)

    def begin(self, offset: int) -> None:
        """Start a fresh shard where its log begins."""
        self.chain.next_offset = self._told_offset = offset

    def sizes(self) -> dict[str, int]:
        """Rows held, by table."""
        return {name: len(table) for name, table in self.recorder.tables().items()} | {
            "source": len(self.ingest.sources),
            "violation": len(self.policy.episodes),
            "review": len(self.reviews),
        }

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
        self.ingest.offer(partition, mark, outcome.tables)
        self.policy.offer(outcome.tables, after, mark.control)
        if outcome.tables or after != before:
            self._entries.append(Entry(outcome.tables, before, after))
            self.pending_rows += sum(table.num_rows for table in outcome.tables)
        self._changed |= bool(outcome.tables) or after != before or message.range.next > message.range.first
        return "applied"

    def adjust(self, corrections: Corrections) -> None:
        """Take what the adjustment log holds from `adjusted` on. It is folded with the next settlement."""
        self.adjusted = corrections.next_offset
        if corrections.rows.num_rows:
            self._corrections.append(corrections.rows)
            self._changed = True

    def first_checkpoint(self) -> Settlement:
        """What a shard without a past writes before it takes anything: from then on, its absence means loss."""
        return Settlement((), (), tuple(self.recorder.checkpoint()))

    def settle(self, now_us: int, control: ControlSnapshot, *, force: bool = False) -> Settlement | None:
        """Fold and judge what was offered. None while nothing has to be written yet. `force`: write what changed
        now.
        """
        self.judge(now_us, control)
        if not self._due(now_us, force):
            return None
        return self.conclude(now_us, None if force else self._config.statuses_at_once)

    def judge(self, now_us: int, control: ControlSnapshot) -> None:
        """Fold and judge what was offered, and keep what comes of it for the next settlement."""
        entries, self._entries, self.pending_rows = self._entries, [], 0
        cells, rows, count = read_rows(entries, self.teams, self.pairs, self.classes, self.budgets.totals.names)
        self.folded_rows += count
        now = self.watermarks.now
        timeline = Timeline(tuple(entry.after for entry in entries), now, before=entries[0].before if entries else now)
        if count:
            self.windows.fold(cells.keys, cells.sums, now.watermark_us)
            self.spikes.buckets.table.add(cells.bucket_keys, cells.bucket_sums)
        of_budgets = self.budgets.settle(rows, timeline, control, now_us, self._fold_corrections())
        self.unsent += of_budgets
        self.unsent += self.looks.settle(
            of_budgets, self.budgets, self.partition, self.chain.applied, now.watermark_us, now_us
        )
        self.unsent += self.forecasts.settle(rows, timeline, now_us)
        self.unsent += self.spikes.settle(timeline, control, now_us)
        self.unsent += self.spike_looks.settle(self.spikes, self.partition, self.chain.applied, control, now_us)
        self.unsent += self.ingest.settle(control, now_us)
        self.unsent += self.policy.settle(now.watermark_us, control, now_us)
        self.unsent += self.reviews.settle(now, self.chain.applied, control, now_us)
        self.windows.prune(now.watermark_us)
        self.budgets.bases.ask(self.budgets, self.partition, self.chain.applied, self.adjusted, now.watermark_us)

    def conclude(self, now_us: int, statuses_at_once: int | None = None) -> Settlement:
        """Everything that has come of judging and was not written yet, but at most so many statuses of budgets: the
        rest stays due.
        """
        statuses, personal = self.budgets.take_statuses(
            self.watermarks.now, self.chain.applied, now_us, statuses_at_once
        )
        statuses += self.policy.months.take_statuses(self.watermarks.now, self.chain.applied, now_us)
        settlement = Settlement(tuple(self.unsent), tuple(statuses), tuple(self.recorder.checkpoint()), tuple(personal))
        self.unsent.clear()
        self._changed = False
        self._told_offset = self.chain.next_offset
        self._checkpoint_us = now_us
        return settlement

    def _fold_corrections(self) -> BudgetRows | None:
        """Add corrected cells to the totals of teams; those of budgets are returned. Spikes are about use as it was
        seen, so no correction reaches them.
        """
        if not self._corrections:
            return None
        entry = Entry(tuple(self._corrections), self.watermarks.now, self.watermarks.now)
        self._corrections = []
        cells, rows, count = read_rows([entry], self.teams, self.pairs, self.classes, self.budgets.totals.names)
        self.folded_rows += count
        self.windows.fold(cells.keys, cells.sums, self.watermarks.now.watermark_us)
        return rows

    def _due(self, now_us: int, force: bool) -> bool:
        """Alerts and changed states go at once, everything else at most once in `checkpoint_s`, and nothing when
        nothing changed.
        """
        if self.unsent or self.budgets.statuses.is_urgent:
            return True
        moved = self.chain.next_offset - self._told_offset
        if not (self._changed or self.budgets.has_statuses or moved >= _IDLE_MESSAGES):
            return False
        waited = self._checkpoint_us is None or now_us - self._checkpoint_us >= self._config.checkpoint_s * 1_000_000
        return force or waited

    def restore(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Go on from stored checkpoints; call once, on a fresh shard."""
        self.recorder.restore(checkpoints)
        self._told_offset = self.chain.next_offset

    def team_totals(self, team: str) -> list[TeamWindow] | None:
        """All kept windows of a team, as of the last settlement; None for a team that this shard has never seen."""
        number = self.teams.find(team)
        return None if number is None else self.windows.of_team(number, self.watermarks.now.watermark_us)
