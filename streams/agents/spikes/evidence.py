"""In: the last half hour of every series beside what was usual. Out: per measure, how far it stands out, and whether
that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from streams.agents.spikes.baseline import HOUR, RATIO_DRIFT, SPANS, Usual
from streams.agents.spikes.buckets import CALLS, COST, ERRORS, RING
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.ring import Look

Measure = Literal["calls", "tokens_per_call", "price_per_token", "cache_share", "cost"]
MEASURES: Final[tuple[Measure, ...]] = ("calls", "tokens_per_call", "price_per_token", "cache_share", "cost")


#: How the margin above what was reached before grows with how far that is above the usual.
BURST: Final = 0.35
#: Half an hour of whoever is steady comes to that many times the usual now and then.
STEADY: Final = 1.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of each series and measure at one bucket, [n, 5]: `exceeds`; `strength`, the z-score over its threshold; `near`:
    back near the usual over the short span, and below the ratio of a rise over the long one. `excess`[n]: cost beyond
    the usual in half an hour, nano-USD."""

    exceeds: np.ndarray
    strength: np.ndarray
    near: np.ndarray
    excess: np.ndarray


def note_hits(running: np.ndarray, seen: Look, policy: SpikePolicy) -> None:
    """Shift one bucket into the registers of which recent buckets stood out."""
    count = len(running)
    hit, judged = np.empty((count, len(MEASURES)), bool), np.ones((count, len(MEASURES)), bool)
    hit[:, [0, 4]] = seen.observed[0][:, [CALLS, COST]] > policy.hit_ratio * seen.expected[0][:, [CALLS, COST]]
    hit[:, 1:4] = seen.moved[0] > np.log([policy.hit_ratio, policy.hit_ratio, policy.hit_ratio_cache])
    # Without a call there is no ratio to judge: the bucket neither confirms nor clears it.
    judged[:, 1:4] = seen.sure[0]
    running["hits"] = np.where(judged, (running["hits"] << 1) | hit, running["hits"])


def weigh(rows: np.ndarray, running: np.ndarray, known: Usual, seen: Look, policy: SpikePolicy) -> Evidence:
    """Judge the bucket that was noted last."""
    shape = (len(rows), len(MEASURES))
    exceeds, strength, near = np.zeros(shape, bool), np.zeros(shape), np.ones(shape, bool)
    thresholds = np.array([policy.z_calls, policy.z_tokens, policy.z_price, policy.z_cache, policy.z_cost])
    ratios = np.array([policy.ratio, policy.ratio, policy.ratio, policy.ratio_cache, policy.ratio])
    # What is usually the strongest of quiet times is no rise; until enough is learnt, more is asked.
    bar = np.maximum(1.0, policy.over_top * rows["top"])
    bar *= np.where(rows["hours"] < policy.sure_hours, policy.young_factor, 1.0)[:, None]
    # Whoever has often come to many times the usual comes to still more one day.
    burst = np.clip(known.reach / np.maximum(seen.expected[-1][:, COST], 1.0), 1.0, policy.most_burst)
    young = np.where(rows["hours"] < policy.known_hours, policy.young_reach, 1.0)
    # Calls that fail and are made again are nothing that people do: they are evidence of their own.
    extra_calls, extra_errors = (seen.observed[-1] - seen.expected[-1])[:, [CALLS, ERRORS]].T
    failing = (extra_calls > 0) & (extra_errors >= policy.failing * extra_calls)
    steady = np.maximum(burst / STEADY, 1.0) ** BURST
    bar[:, [0, 4]] *= np.where(failing, policy.failing_factor, steady)[:, None]
    reach = np.where(failing, 1.0, policy.over_reach * burst**BURST * young) * known.reach
    z, ratio, extra = np.empty(shape), np.empty(shape), np.empty(shape)
    for at, span in enumerate(SPANS):
        observed, expected = seen.observed[1 + at], seen.expected[1 + at]
        moved, sd = seen.moved[1 + at], seen.deviation[1 + at]
        main, usual = observed[:, [CALLS, COST]], expected[:, [CALLS, COST]]
        z[:, [0, 4]] = np.divide(main - usual, sd, out=np.zeros_like(usual), where=sd > 0)
        z[:, 1:4] = moved / np.sqrt(known.drift / np.maximum(observed[:, :1], 1.0) + RATIO_DRIFT**2)
        over = np.divide(main, usual, out=np.ones_like(usual), where=usual > 0)
        changed = np.exp(moved)
        ratio[:, [0, 4]], ratio[:, 1:4] = over, changed
        # What each measure costs: a ratio its own part of the money spent, calls and cost the whole rise.
        extra[:, [0, 4]] = main[:, 1:] - usual[:, 1:]
        extra[:, 1:4] = main[:, 1:] * (1 - 1 / changed)
        share = z / thresholds
        np.maximum(strength, share, out=strength)
        needed, window = (policy.fast_hits, policy.fast_window) if at == 0 else (policy.hits, policy.window)
        hits = np.bitwise_count(running["hits"] & ((1 << window) - 1))
        floor = max(policy.excess_total, policy.excess_per_hour * span / HOUR)
        beyond = (share > bar * (policy.fast_factor if at == 0 else 1.0)) & (ratio > ratios) & (hits >= needed)
        # As many calls, or as much money, as it has come to before at this time of day is nothing new.
        beyond[:, [0, 4]] &= (main[:, 1] * RING / span > reach)[:, None]
        worth = (over[:, 1:] > policy.cost_ratio) & (main[:, :1] >= policy.least_calls * span / RING)
        exceeds |= beyond & worth & (extra >= floor)
        if at == 0:
            near = (ratio < policy.calm_ratio) | (z < policy.calm_z)
            # A ratio without calls says nothing, so it is not calm either.
            near[:, 1:4] &= observed[:, :1] > 0
        else:
            # A series whose noise is large is near in z-scores long before its use is back.
            near &= ratio < ratios
    return Evidence(exceeds, strength, near, extra[:, 4])


def early_cost(rows: np.ndarray, known: Usual, policy: SpikePolicy) -> np.ndarray:
    """nano-USD of one bucket, [n], above which a rise is plain whatever the rest of the bucket brings, in all of an
    hour; infinite while too little is known."""
    usual = known.calls.max(axis=1) * known.ratio[:, COST]
    spread = np.sqrt(known.noise[:, 0, 1] * usual)
    most = np.maximum(policy.early_ratio * usual, policy.early_peak * rows["peak"][:, 1].astype(np.float64))
    plain = np.maximum(most, usual + np.maximum(policy.early_excess, policy.early_z * spread))
    ripe = (rows["hours"] >= policy.warm_up_hours) & (rows["calls"] >= policy.warm_up_calls)
    return np.where(ripe, plain, np.inf)


def plain_measure(used: Sequence[float], expected: Sequence[float]) -> int:
    """Which measure a plain rise is about, of sums[WIDTH]: calls, or what a call costs."""
    more = used[CALLS] / max(expected[CALLS], 1e-9)
    dearer = used[COST] / max(expected[COST], 1e-9) / max(more, 1e-9)
    return 0 if more >= dearer else 4
