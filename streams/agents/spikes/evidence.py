"""In: the last half hour of every team beside what was usual. Out: per measure, how far it stands out and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from streams.agents.spikes.baseline import DRIFT, RATIO_DRIFT, SPANS, Usual, log_ratios
from streams.agents.spikes.buckets import CALLS, COST
from streams.agents.spikes.policy import SpikePolicy

Measure = Literal["calls", "tokens_per_call", "price_per_token", "cache_share", "cost"]
MEASURES: Final[tuple[Measure, ...]] = ("calls", "tokens_per_call", "price_per_token", "cache_share", "cost")
_HIT_BUCKETS: Final = 0b1111


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of each team: exceeds[n, 5] by measure; strength[n, 5] as z over its threshold; excess[n, 5] in nano-USD over
    the last half hour; near[n, 5]: the measure is back near the usual over the last 15 minutes."""

    exceeds: np.ndarray
    strength: np.ndarray
    excess: np.ndarray
    near: np.ndarray


def push(rows: np.ndarray, observed: np.ndarray, known: Usual, mix: np.ndarray, policy: SpikePolicy) -> None:
    """Shift one bucket into the rings and note which measures stood out in it."""
    for name, newest in (("observed", observed), ("expected", known.expected), ("mix_ring", mix)):
        ring = rows[name]
        ring[:, :-1] = ring[:, 1:].copy()
        ring[:, -1] = newest
    drift, sure = log_ratios(observed, known.expected)
    over = np.log(np.array([policy.hit_ratio, policy.hit_ratio, policy.hit_ratio_cache]))
    linear = observed[:, [CALLS, COST]] > policy.hit_ratio * known.expected[:, [CALLS, COST]]
    hit = np.concatenate([linear[:, :1], sure & (drift > over), linear[:, 1:]], axis=1)
    # Without a call there is no ratio to judge: the bucket neither confirms nor clears it.
    always = np.ones((len(rows), 1), dtype=bool)
    judged = np.concatenate([always, sure, always], axis=1)
    shifted = ((rows["hits"] << 1) | hit).astype(np.uint8)
    rows["hits"] = np.where(judged, shifted, rows["hits"])


def weigh(rows: np.ndarray, known: Usual, policy: SpikePolicy) -> Evidence:
    """Judge all teams after `push`."""
    n = len(rows)
    exceeds, strength = np.zeros((n, 5), bool), np.zeros((n, 5))
    near = np.ones((n, 5), bool)
    thresholds = np.array([policy.z_calls, policy.z_tokens, policy.z_price, policy.z_cache, policy.z_cost])
    ratios = np.array([policy.ratio, policy.ratio, policy.ratio, policy.ratio_cache, policy.ratio])
    excess = np.zeros((n, 5))
    for at, span in enumerate(SPANS):
        observed = rows["observed"][:, -span:].sum(axis=1)
        expected = rows["expected"][:, -span:].sum(axis=1)
        main, usual = observed[:, :3], expected[:, :3]
        drift, _ = log_ratios(observed, expected)
        deviation = np.sqrt(known.spread[:, at] * usual + (DRIFT * usual) ** 2)
        linear = np.divide(main - usual, deviation, out=np.zeros_like(usual), where=deviation > 0)
        logs = drift / np.sqrt(known.wobble / np.maximum(observed[:, :1], 1.0) + RATIO_DRIFT**2)
        z = np.concatenate([linear[:, :1], logs, linear[:, 2:]], axis=1)
        over = np.divide(main, usual, out=np.ones_like(usual), where=usual > 0)
        ratio = np.concatenate([over[:, :1], np.exp(drift), over[:, 2:]], axis=1)
        dearer = (over[:, 2] > policy.cost_ratio)[:, None]
        strength = np.maximum(strength, z / thresholds)
        # What each measure costs: a ratio its own part of the money spent, calls and cost the whole rise.
        rise = (main[:, 2] - usual[:, 2])[:, None]
        extra = np.concatenate([rise, main[:, 2:] * (1 - np.exp(-drift)), rise], axis=1)
        paid = extra * (12 / span) >= policy.excess_per_hour
        excess = np.maximum(excess, extra)
        beyond = (z > thresholds) & (ratio > ratios) & dearer & paid
        # Cost as a whole mixes all noises, so only the long span may speak for it.
        beyond[:, 4] &= span == SPANS[-1]
        exceeds |= beyond & (main[:, :1] >= policy.least_calls * span / SPANS[-1])
        if span == SPANS[0]:
            near = (ratio < policy.calm_ratio) | (z < policy.calm_z)
            # A ratio without calls says nothing, so it is not calm either.
            near[:, 1:4] &= observed[:, :1] > 0
    hits = np.bitwise_count(rows["hits"] & _HIT_BUCKETS)
    # Price per token mixes models, and a few dear calls in a row are common: it must stand out in every bucket.
    needed = np.array([policy.hits, policy.hits, policy.hits_price, policy.hits, policy.hits])
    exceeds &= (hits >= needed) & (excess >= policy.excess_total)
    return Evidence(exceeds, strength, excess, near)
