"""In: an hour of every team beside what was usual. Out: per bucket and measure, how far it stands out and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from streams.agents.spikes.baseline import DRIFT, HOUR, RATIO_DRIFT, SPANS, Usual, log_ratios, span_sums
from streams.agents.spikes.buckets import CALLS, COST
from streams.agents.spikes.policy import SpikePolicy

Measure = Literal["calls", "tokens_per_call", "price_per_token", "cache_share", "cost"]
MEASURES: Final[tuple[Measure, ...]] = ("calls", "tokens_per_call", "price_per_token", "cache_share", "cost")
_HIT_BUCKETS: Final = 0b1111


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of each team, bucket of the hour and measure, [n, 12, 5]: `exceeds`; `strength`, the z-score over its threshold;
    `near`: back near the usual over the last 15 minutes; `hits`: a bit per recent bucket that stood out."""

    exceeds: np.ndarray
    strength: np.ndarray
    near: np.ndarray
    hits: np.ndarray


def note_hits(rows: np.ndarray, known: Usual, first: int, limit: int, policy: SpikePolicy) -> np.ndarray:
    """Shift buckets [first, limit) of the hour into the teams' hit registers; the registers after each, [n, 12, 5]."""
    observed, expected = rows["observed"][:, -HOUR:], known.expected
    drift, sure = log_ratios(observed, expected)
    over = np.log(np.array([policy.hit_ratio, policy.hit_ratio, policy.hit_ratio_cache]))
    linear = observed[..., [CALLS, COST]] > policy.hit_ratio * expected[..., [CALLS, COST]]
    hit = np.concatenate([linear[..., :1], sure & (drift > over), linear[..., 1:]], axis=2)
    # Without a call there is no ratio to judge: the bucket neither confirms nor clears it.
    always = np.ones((*sure.shape[:2], 1), dtype=bool)
    judged = np.concatenate([always, sure, always], axis=2)
    registers = np.zeros(hit.shape, dtype=np.uint8)
    for at in range(first, limit):
        rows["hits"] = np.where(judged[:, at], (rows["hits"] << 1) | hit[:, at], rows["hits"])
        registers[:, at] = rows["hits"]
    return registers


def weigh(rows: np.ndarray, known: Usual, hits: np.ndarray, policy: SpikePolicy) -> Evidence:
    """Judge the hour as it stands; only buckets that were noted mean anything."""
    shape = (len(rows), HOUR, len(MEASURES))
    exceeds, strength, near = np.zeros(shape, bool), np.zeros(shape), np.ones(shape, bool)
    thresholds = np.array([policy.z_calls, policy.z_tokens, policy.z_price, policy.z_cache, policy.z_cost])
    ratios = np.array([policy.ratio, policy.ratio, policy.ratio, policy.ratio_cache, policy.ratio])
    excess = np.zeros(shape)
    for at, span in enumerate(SPANS):
        observed, expected = span_sums(rows["observed"], span), span_sums(rows["expected"], span)
        main, usual = observed[..., :3], expected[..., :3]
        drift, _ = log_ratios(observed, expected)
        deviation = np.sqrt(known.spread[:, None, at] * usual + (DRIFT * usual) ** 2)
        linear = np.divide(main - usual, deviation, out=np.zeros_like(usual), where=deviation > 0)
        logs = drift / np.sqrt(known.wobble[:, None] / np.maximum(observed[..., :1], 1.0) + RATIO_DRIFT**2)
        z = np.concatenate([linear[..., :1], logs, linear[..., 2:]], axis=2)
        over = np.divide(main, usual, out=np.ones_like(usual), where=usual > 0)
        changed = np.exp(drift)
        ratio = np.concatenate([over[..., :1], changed, over[..., 2:]], axis=2)
        strength = np.maximum(strength, z / thresholds)
        # What each measure costs: a ratio its own part of the money spent, calls and cost the whole rise.
        rise = main[..., 2:] - usual[..., 2:]
        extra = np.concatenate([rise, main[..., 2:] * (1 - 1 / changed), rise], axis=2)
        excess = np.maximum(excess, extra)
        beyond = (z > thresholds) & (ratio > ratios) & (over[..., 2:] > policy.cost_ratio)
        beyond &= extra * (HOUR / span) >= policy.excess_per_hour
        # Cost as a whole mixes all noises, so only the long span may speak for it.
        beyond[..., 4] &= span == SPANS[-1]
        exceeds |= beyond & (main[..., :1] >= policy.least_calls * span / SPANS[-1])
        if span == SPANS[0]:
            near = (ratio < policy.calm_ratio) | (z < policy.calm_z)
            # A ratio without calls says nothing, so it is not calm either.
            near[..., 1:4] &= observed[..., :1] > 0
    # Price per token mixes models, and a few dear calls in a row are common, so it may ask for more.
    needed = np.array([policy.hits, policy.hits, policy.hits_price, policy.hits, policy.hits])
    exceeds &= (np.bitwise_count(hits & _HIT_BUCKETS) >= needed) & (excess >= policy.excess_total)
    return Evidence(exceeds, strength, near, hits)
