"""In: one tally partition, its store and its log. Out: the shard opened, fed, settled and closed. Blocking, without
Faust.

1. open: take ownership, read the state, read on in the log, since the group may have handed out what came after it;
   a partition that nobody has ever read gets an empty checkpoint, so that a missing one means that state was lost;
2. offer each message: skipped when applied before; a hole is read back first;
3. settle: fold, judge;
4. commit what has to be written: state, alerts and statuses in one transaction.

A crash after 1 has written nothing. After 2 or 3, what was offered since the last commit is forgotten with the
process; the next owner finds it in the log, because the position that it reads is the one that was committed. After
4, state, alerts and positions stand together: nothing is told twice, nothing is missing. The group's committed offset
is only a hint: it may run ahead (1 and 2 read back) or lag (2 skips).
"""

from __future__ import annotations

from typing import Final

import structlog

from runtime.clock import Clock
from runtime.metrics import AgentMetrics
from schemas.control.snapshot import ControlSnapshot
from streams.agents.adjustments import AdjustmentLog, Corrections, NoAdjustments
from streams.agents.beside import Beside
from streams.agents.chain import Hole
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Settlement, Shard
from streams.agents.state_records import read_checkpoints
from streams.agents.store import StateStore, TalliesLost, TallyLog
from streams.agents.tally_message import TallyMessage

_log = structlog.get_logger("agents")

#: Messages read directly when a shard is opened: more than the group hands out between two checkpoints. What lies
#: further ahead comes through the group, and a hole that is larger still is read back when it shows.
_READ_AHEAD: Final = 5_000


class ShardKeeper:
    """Owns one shard while its partition is ours."""

    def __init__(
        self,
        partition: int,
        counts: Counts,
        config: AgentsConfig,
        store: StateStore,
        log: TallyLog,
        clock: Clock,
        metrics: AgentMetrics,
        adjustments: AdjustmentLog | None = None,
        beside: Beside | None = None,
    ) -> None:
        """`beside`: who asks the history; None: nobody."""
        self.partition = partition
        self._adjustments: AdjustmentLog = adjustments or NoAdjustments()
        self._beside = beside or Beside(None, None)
        self.shard = Shard(partition, counts, config)
        self._beside.enable(self.shard)
        self._store, self._log, self._clock, self._metrics = store, log, clock, metrics

    def open(self) -> None:
        """Step 1."""
        began = self._clock.monotonic()
        checkpoints = read_checkpoints(self._store.open())
        if checkpoints:
            self.shard.restore(checkpoints)
        else:
            self._begin()
        first = self.shard.chain.next_offset
        count = self._read_back(first + _READ_AHEAD)
        self.shard.adjust(self._adjustments.read(self.shard.adjusted, self.partition))
        _log.info(
            "agents.opened",
            partition=self.partition,
            checkpoints=len(checkpoints),
            offset=first,
            read_back=count,
            teams=len(self.shard.teams),
            seconds=round(self._clock.monotonic() - began, 2),
        )

    def _begin(self) -> None:
        """Start a shard that has no checkpoint. TalliesLost when it had one: its alerts would all be raised again."""
        traces = self._log.traces(self.partition)
        if traces is not None:
            raise TalliesLost(
                f"usage.state has no checkpoint of tally partition {self.partition}, but {traces}: the state was lost. "
                "Stop all agents, run `streamgauge rebuild`, start them again"
            )
        self.shard.begin(self._log.beginning(self.partition))
        self._store.commit(self.shard.first_checkpoint())

    @property
    def is_behind(self) -> bool:
        """Whether adjustments stand that the shard has not taken."""
        return self._adjustments.end > self.shard.adjusted

    def catch_up(self) -> Corrections:
        """Read the adjustments that stand. For `adjust`, which must not run beside `offer` or `settle`."""
        return self._adjustments.read(self.shard.adjusted, self.partition)

    def adjust(self, corrections: Corrections) -> None:
        """Take them, as part of the next settlement."""
        self.shard.adjust(corrections)

    def offer(self, message: TallyMessage) -> bool:
        """Step 2. False: there is a hole before it; call `fill` with the same message."""
        outcome = self.shard.offer(message)
        if isinstance(outcome, Hole):
            return False
        self._metrics.tallies.labels(outcome).inc()
        return True

    def fill(self, message: TallyMessage) -> None:
        """Read back what is missing before the message, then take it. TalliesLost when it does not stand any more."""
        self._read_back(message.offset)
        self._take(message, "applied")

    def _read_back(self, until: int) -> int:
        """Offer the log's own messages up to `until`."""
        count = 0
        for message in self._log.read(self.partition, self.shard.chain.next_offset, until):
            self._take(message, "read_back")
            count += 1
        return count

    def _take(self, message: TallyMessage, label: str) -> None:
        """Take a message from the log itself, where a hole before it cannot be filled any more."""
        losses = len(self.shard.losses)
        outcome = self.shard.offer(message, accept_hole=True)
        for hole in self.shard.losses[losses:]:
            _log.error(
                "agents.tallies_lost",
                partition=self.partition,
                input_partition=hole.partition,
                expected=hole.expected,
                found=hole.found,
                consequence="budgets here stay in state unknown for their running periods: the totals are too low",
            )
        self._metrics.tallies.labels(label if outcome == "applied" else str(outcome)).inc()

    def settle(self, control: ControlSnapshot, force: bool = False) -> Settlement | None:
        """Step 3. None while nothing has to be written."""
        began = self._clock.monotonic()
        rows = self.shard.folded_rows
        self._beside.hear(self.shard)
        settlement = self.shard.settle(self._clock.now_us(), control, force=force)
        self._beside.ask(self.shard)
        self._metrics.rows.inc(self.shard.folded_rows - rows)
        if settlement is not None or self.shard.folded_rows > rows:
            self._metrics.settle_seconds.observe(self._clock.monotonic() - began)
        return settlement

    def commit(self, settlement: Settlement) -> None:
        """Step 4. Raises Fenced or StoreBroken: what this keeper holds must be dropped, see `custody`."""
        self._store.commit(settlement)
        self._metrics.checkpoints.inc()
        self._metrics.checkpoint_bytes.inc(sum(len(value) for _, value in settlement.records if value is not None))
        for alert in settlement.alerts:
            self._metrics.alerts.labels(alert.kind, alert.state).inc()
            _log.info(
                "agents.alert",
                alert_id=alert.alert_id,
                state=alert.state,
                severity=alert.severity,
                summary=alert.summary,
            )
        now = self.shard.watermarks.now
        if now.watermark_us is not None:
            self._metrics.watermark.labels(self.partition).set(now.watermark_us / 1_000_000)
        for name, rows in self.shard.sizes().items():
            self._metrics.keys.labels(name, self.partition).set(rows)

    def close(self) -> None:
        self._beside.drop(self.partition)
        self._store.close()
