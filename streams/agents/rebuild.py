"""In: the tallies that still stand, history before them, adjustments, and what was told. Out: a shard as it was, in one
transaction.

1. find where the retained tallies begin, for each input partition;
2. take what lies before that from history, which must hold each event once, and every adjustment;
3. fold the retained tallies up to where budgets were last told of, judging nothing: what came of it was told;
4. remember what was told: crossings, episodes, statuses;
5. fold and judge the rest as any worker would: what comes of it was never told;
6. say what has to be written: a snapshot that replaces all records of the partition, alerts that are missing, statuses.

Nothing is written before the whole is there, so a crash leaves things as they were: run it again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from runtime.clock import Clock
from schemas.alerts import Alert
from schemas.control.budgets import Budget
from schemas.control.snapshot import ControlSnapshot
from schemas.tallies import home_partition
from streams.agents.adjustments import AdjustmentLog, team_home
from streams.agents.arrow_columns import integers
from streams.agents.batch import UNATTRIBUTED
from streams.agents.config import AgentsConfig
from streams.agents.floors import Floors, floor_minute
from streams.agents.history import UsageHistory
from streams.agents.shard import Counts, Settlement, Shard
from streams.agents.standing import Standing, identity, restore_budgets
from streams.agents.state_records import StateError, read_checkpoints
from streams.agents.store import TalliesLost, TallyLog
from streams.agents.sums import group, pack
from streams.agents.tally_message import TallyMessage
from streams.agents.totals import USED_MEASURES, Totals
from streams.agents.windows import RESOLUTIONS, TEAM_MEASURES, TeamWindows

_END: Final = 2**62
#: Rows and messages folded in one go.
_CHUNK_ROWS: Final = 200_000
_CHUNK_MESSAGES: Final = 5_000


class HistoryMissing(RuntimeError):
    """What lies before the retained tallies cannot be had. The message says of which offsets, and what to do."""


class HistoryUneven(RuntimeError):
    """History does not hold what was counted: a later correction would make the totals wrong."""


@dataclass(frozen=True, slots=True)
class Retained:
    """Where the retained tallies begin: `low` in their log, `firsts` by input partition, and the least watermark."""

    low: int
    firsts: Mapping[int, int]
    watermark_us: int | None


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One shard. `before` is what history was asked for; `messages` were folded from the log. `uneven`: events by which
    history is off, where that was accepted; `refused`: accepted events that history could not take, and their cost in
    nano-USD, which agents had counted and now have not.
    """

    partition: int
    before: Mapping[int, int]
    messages: int
    teams: int
    budgets: int
    next_offset: int
    settlement: Settlement
    uneven: int = 0
    refused: tuple[int, int] = (0, 0)


class Rebuilder:
    """Rebuilds one partition after the other. Reads only; whoever calls it commits the settlement."""

    def __init__(
        self,
        config: AgentsConfig,
        counts: Counts,
        log: TallyLog,
        adjustments: AdjustmentLog,
        history: UsageHistory | None,
        standing: Standing,
        control: ControlSnapshot,
        clock: Clock,
        tell: Callable[[int], None] = lambda _: None,
        *,
        accept_differences: bool = False,
    ) -> None:
        self._config, self._counts, self._log, self._adjustments = config, counts, log, adjustments
        self._history, self._standing, self._control, self._clock = history, standing, control, clock
        self._tell = tell
        self._accept_differences = accept_differences

    def damage(self, partition: int, records: Mapping[str, bytes]) -> str | None:
        """Why the partition has to be rebuilt; None when an agent could go on from these records."""
        try:
            checkpoints = read_checkpoints(records)
        except StateError as error:
            return str(error)
        if not checkpoints:
            return "usage.state holds no checkpoint"
        shard = Shard(partition, self._counts, self._config)
        shard.restore(checkpoints)
        first = shard.chain.next_offset
        try:
            with contextlib.closing(_iterate(self._log.read(partition, first, first + 1))) as found:
                next(found, None)
        except TalliesLost as lost:
            return str(lost)
        return None

    def rebuild(self, partition: int, records: Mapping[str, bytes]) -> Rebuilt:
        """`records` are those that stand in usage.state now. Raises HistoryMissing and HistoryUneven."""
        shard = Shard(partition, self._counts, self._config)
        retained = self._retained(partition)  # 1
        before = self._before(retained)
        shard.begin(retained.low)
        self._keep(shard)
        uneven, refused = 0, (0, 0)
        if before:
            self._add_history(shard, before, retained.watermark_us)  # 2
            # Afterwards, so that a row which was replaced meanwhile is noticed.
            uneven, refused = self._differences(before)
            shard.chain.applied.update(before)
        whole = bool(before) or not self._asked(retained)
        shard.adjust(self._adjustments.read(0, partition))
        standing = self._standing.at_home(partition, self._counts.tallies)
        judged = standing.judged()
        told = True
        messages = 0
        for message in self._log.read(partition, retained.low, _END):
            if told and judged and _is_beyond(message, judged):
                self._remember(shard, standing, whole)  # 4
                told = False
            shard.offer(message, accept_hole=True)
            messages += 1
            if shard.pending_rows >= _CHUNK_ROWS or messages % _CHUNK_MESSAGES == 0:
                self._judge(shard, told)  # 3, 5
                self._tell(messages)
        if told:
            self._remember(shard, standing, whole)
        self._judge(shard, False)
        settlement = shard.conclude(self._clock.now_us())  # 6
        kept = {key for key, _ in settlement.records}
        retired = [(key, None) for key in sorted(records) if key not in kept]
        missing = tuple(alert for alert in settlement.alerts if identity(alert) not in standing.told)
        return Rebuilt(
            partition,
            before,
            messages,
            len(shard.teams),
            len(standing.statuses),
            shard.chain.next_offset,
            Settlement(missing, settlement.statuses, (*retired, *settlement.records), settlement.personal),
            uneven,
            refused,
        )

    def _keep(self, shard: Shard) -> None:
        """What was told is judged again without documents, but totals are kept by those of now: else a period that
        began long ago would be let go of while it runs.
        """
        self._judge(shard, True)
        totals = shard.budgets.totals
        totals.keep_by(Floors({totals.number(budget): budget for budget in self._home(shard)}))

    def _home(self, shard: Shard) -> list[Budget]:
        """The budgets that are at home in the shard."""
        return [
            budget
            for budget in self._control.budgets.values()
            if home_partition(f"budget/{budget.id}", self._counts.tallies) == shard.partition
        ]

    def _retained(self, partition: int) -> Retained:
        """Read on until every input partition was met."""
        low = self._log.beginning(partition)
        firsts: dict[int, int] = {}
        watermarks: list[int | None] = []
        with contextlib.closing(_iterate(self._log.read(partition, low, _END))) as messages:
            for message in messages:
                source = message.range
                if source.partition not in firsts:
                    # A range whose first part is gone is as good as gone.
                    firsts[source.partition] = source.next if source.part > 0 else source.first
                    watermarks.append(message.mark.watermark_us)
                if len(firsts) == self._counts.inputs:
                    break
        known = [us for us in watermarks if us is not None]
        return Retained(low, firsts, min(known, default=None))

    def _asked(self, retained: Retained) -> list[int]:
        """Input partitions of which the retained tallies do not have everything."""
        return [partition for partition in range(self._counts.inputs) if retained.firsts.get(partition) != 0]

    def _before(self, retained: Retained) -> dict[int, int]:
        """What history has to answer for. Empty when the tallies have it all, or when there is no history."""
        asked = self._asked(retained)
        if not asked or self._history is None:
            return {}
        reaches = {partition: self._history.reaches(partition) for partition in asked}
        before = {partition: retained.firsts.get(partition, reach) for partition, reach in reaches.items()}
        short = [f"partition {p} to {reaches[p]} of {first}" for p, first in before.items() if reaches[p] < first]
        if short:
            raise HistoryMissing(
                f"ClickHouse has not got everything that lies before the retained tallies: {'; '.join(short)}. Let "
                "`streamgauge sink` (or `streamgauge backfill`) catch up and run this again, or use --without-history: "
                "then budgets stay unknown for the periods that were cut"
            )
        return {partition: first for partition, first in before.items() if first > 0}

    def _differences(self, before: Mapping[int, int]) -> tuple[int, tuple[int, int]]:
        """Events by which history is off, and what it refused. HistoryUneven unless that is accepted."""
        assert self._history is not None
        found = self._history.uneven(before)
        events = sum(abs(count) for *_, count in found)
        if found and not self._accept_differences:
            named = "; ".join(f"partition {p}, offsets {first} to {after}: {n:+d}" for p, first, after, n in found[:5])
            more = f"; and {len(found) - 5:,} more ranges" if len(found) > 5 else ""
            raise HistoryUneven(
                f"ClickHouse does not hold what was counted before the retained tallies, by {events:,} events "
                f"({named}{more}). A resend that is corrected later would be taken away although it counted once here. "
                "Run `streamgauge reconcile --correct` first, then this again. What it leaves can never be corrected: "
                "take it as it is with --accept-differences"
            )
        return events, self._history.refused(before)

    def _add_history(self, shard: Shard, before: Mapping[int, int], watermark_us: int | None) -> None:
        assert self._history is not None
        floors = TeamWindows.floors(watermark_us)
        for resolution in RESOLUTIONS:
            found = self._history.team_sums(resolution, floors[resolution], before)
            homes = [team_home(team, self._counts.tallies) == shard.partition for team in found["team_id"].to_pylist()]
            rows = found.filter(pa.array(homes, pa.bool_()))
            if rows.num_rows:
                team = shard.teams.numbers(rows["team_id"].combine_chunks(), UNATTRIBUTED)
                sums = np.stack([integers(rows[name]) for name in TEAM_MEASURES], axis=1)
                shard.windows.tables[resolution].add(*group(pack(team, integers(rows["window"])), sums))
        for budget in self._home(shard):
            first = min(Totals.floor(watermark_us), floor_minute(budget, watermark_us))
            found = self._history.budget_sums(budget.scope.selectors(), first, before)
            minutes = np.maximum(integers(found["minute"]), 0)
            sums = np.stack([integers(found[name]) for name in USED_MEASURES], axis=1)
            # Quarters of an hour that have not passed tell when a level was reached; the others are let go of soon.
            shard.budgets.totals.add_use(budget, minutes, sums, shard.budgets.quarters.table)
            shard.forecasts.put_history(budget, minutes, sums)

    def _judge(self, shard: Shard, told: bool) -> None:
        """With `told`, what comes of it stands on the topics already."""
        shard.judge(self._clock.now_us(), ControlSnapshot() if told else self._control)
        if told:
            shard.unsent.clear()

    def _remember(self, shard: Shard, standing: Standing, whole: bool) -> None:
        self._judge(shard, True)
        shard.watermarks.reach(standing.watermark_us())
        restore_budgets(shard.budgets, standing, self._control, shard.watermarks.now.watermark_us, whole)
        now_us = self._clock.now_us()
        shard.unsent += shard.spikes.reconcile(_open(standing, "spike"), now_us)
        shard.unsent += shard.ingest.reconcile(_open(standing, "ingest_quality", "source_silent"), now_us)
        shard.forecasts.remember(standing.alerts, self._control.budgets, shard.watermarks.now.watermark_us)
        shard.policy.reconcile(alert for alert in standing.alerts.values() if alert.kind == "policy")
        shard.policy.months.remember(standing.governance)
        shard.reviews.reconcile(standing.alerts.values())


def _open(standing: Standing, *kinds: str) -> dict[str, Alert]:
    return {name: alert for name, alert in standing.alerts.items() if alert.kind in kinds and alert.state != "resolved"}


def _is_beyond(message: TallyMessage, judged: Mapping[int, int]) -> bool:
    return message.mark.kind == "range" and message.range.next > judged.get(message.range.partition, 0)


def _iterate(messages: Iterable[TallyMessage]):  # type: ignore[no-untyped-def]
    """A generator, which can be closed before its end."""
    yield from messages
