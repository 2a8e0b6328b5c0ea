"""In: how much each use case uses in a bucket. Out: a watch that was fed that, bucket by bucket, and what it told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.names import Names
from streams.agents.spikes.buckets import BUCKET_US, CLASS_LIMIT, PAIR_LIMIT, WIDTH, bucket_keys
from streams.agents.spikes.pairs import Pairs
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.watch import SpikeWatch
from streams.agents.sums import group
from streams.agents.verdicts import Timeline
from streams.agents.watermarks import Moment

NANO = 10**9
#: 2026-10-05 was a Monday.
MONDAY = 20_731 * 288
#: Learnt within a day and a half, so that tests are short; money as in small teams.
POLICY = SpikePolicy(
    warm_up_hours=24,
    sure_hours=24,
    pair_calls=100,
    excess_per_hour=3 * NANO // 10,
    excess_total=3 * NANO // 20,
    early_excess=NANO,
)

Amounts = Mapping[str, int]


def calls(count: int, *, cost: int = NANO // 50, errors: int = 0) -> np.ndarray:
    """Sums of a bucket: so many calls of 1,000 tokens, of 2 cents each unless said otherwise."""
    sums = np.zeros(WIDTH, dtype=np.int64)
    sums[:] = [count, errors, 900 * count, 0, 100 * count, cost * count]
    return sums


@dataclass(slots=True)
class FlatUse:
    """`usual`: calls of each bucket by `TEAM/USE_CASE`."""

    usual: Amounts
    policy: SpikePolicy = POLICY
    control: ControlSnapshot = field(default_factory=ControlSnapshot)
    bucket: int = MONDAY
    told: list[Alert] = field(default_factory=list)
    watch: SpikeWatch = field(init=False)
    pairs: Pairs = field(init=False)

    def __post_init__(self) -> None:
        self.pairs = Pairs(PAIR_LIMIT)
        self.watch = SpikeWatch(self.policy, self.pairs, Names(CLASS_LIMIT), 2 * 86_400_000_000)
        self.watch._classes.number("standard")

    def go(self, buckets: int, more: Amounts | None = None, **shape: int) -> list[Alert]:
        """So many buckets with the usual use, but for what `more` gives; each is closed at once."""
        told: list[Alert] = []
        for _ in range(buckets):
            self.offer({**self.usual, **(more or {})}, **shape)
            self.bucket += 1
            told += self.settle()
        return told

    def offer(self, amounts: Amounts, ahead: int = 0, **shape: int) -> None:
        """Use in the running bucket, or in one `ahead` of it, without closing it."""
        numbers, sums = [], []
        for name, count in amounts.items():
            if count:
                numbers.append(self.pairs.number(name.replace("/", "\x1f")))
                sums.append(calls(count, **shape))
        if numbers:
            pair = np.array(numbers)
            keys = bucket_keys(pair, np.zeros(len(pair), int), np.full(len(pair), self.bucket + ahead))
            self.watch.buckets.table.add(*group(keys, np.array(sums)))

    def settle(self) -> list[Alert]:
        """Let the watermark stand where the running bucket begins."""
        end_us = self.bucket * BUCKET_US
        moment = Moment(end_us, end_us, end_us)
        alerts = self.watch.settle(Timeline((moment,), moment), self.control, end_us)
        self.told += alerts
        return alerts

    def reopened(self) -> FlatUse:
        """The same after a restart: what is stored is read by another watch."""
        other = replace(self, told=[])
        other.pairs.extend(self.pairs.texts)
        other.watch.roster.names.extend(self.watch.roster.names.texts)
        other.watch.buckets.table.put(*self.watch.buckets.table.all())
        other.watch.pair_calls.put(*self.watch.pair_calls.all())
        documents = {key: text for key, text in self.watch.documents().items() if text is not None}
        other.watch.restore(self.watch.roster.rows.copy(), self.watch.roster.running.copy(), documents)
        other.watch.next, other.watch.quiet = self.watch.next, self.watch.quiet
        return other


def states(alerts: list[Alert]) -> list[tuple[str | None, str | None, str]]:
    """(team, use case, state) of each."""
    return [(alert.scope.team, alert.scope.use_case, alert.state) for alert in alerts]
