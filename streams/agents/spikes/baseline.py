"""In: closed buckets of every team. Out: what each team usually uses at this hour, and how much that varies.

Use differs between weekdays and weekends and by the hour, so there are 48 slots, each an exponentially weighted mean
of clipped buckets. Tokens per call and price per token vary little by the hour, so a slot's own ratio is shrunk
towards the team's. Every amount is per 5-minute bucket. All functions work on all teams at once: rows[n] of `TEAM`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.agents.spikes.buckets import CACHED, CALLS, COST, INPUT, TOKENS, WIDTH

SLOTS: Final = 48
#: Buckets of observed and expected use that the evidence looks back on: half an hour.
RING: Final = 6
#: Spans that evidence is summed over, in buckets: short ones see strong incidents early, long ones weak ones surely.
SPANS: Final = (3, RING)
#: Model classes told apart per team; further ones share the last place.
CLASSES: Final = 8

#: The whole memory of one team, about 2 kB.
TEAM: Final = np.dtype(
    [
        ("first", np.int64),  # first bucket with use; -1: none yet
        ("silent", np.int32),  # buckets in a row without a call
        ("calls_seen", np.float64),
        ("slots", np.float32, (SLOTS, WIDTH)),
        ("seen", np.float32, (SLOTS,)),  # buckets learnt per slot
        ("level", np.float64, (WIDTH,)),  # slow mean over all hours
        ("spread", np.float64, (len(SPANS), 3, 2)),  # decayed squared deviations and expectations: calls, tokens, cost
        ("wobble", np.float64, (3, 2)),  # decayed squared log ratios and how many: the three of `log_ratios`, per call
        ("observed", np.float64, (RING, WIDTH)),
        ("expected", np.float64, (RING, 4)),  # calls, tokens, cost, price units
        ("hits", np.uint8, (5,)),  # a bit per recent bucket that stood out, by measure
        ("mix", np.float32, (CLASSES, 2)),  # slow mean of tokens and cost per model class
        ("mix_ring", np.float32, (RING, CLASSES, 2)),
    ]
)

#: A slot learns from about five of its days, so that growth of a third a month stays far below the firing ratio.
_SLOT_MEMORY: Final = 60.0
#: Level, spread and mix remember about three days.
_SLOW: Final = 1.0 / (3 * 288)
#: A young slot leans on the same hour of the other kind of day with the weight of three buckets.
_PRIOR_BUCKETS: Final = 3.0
#: A slot's ratios lean on the team's with the weight of thirty calls.
_PRIOR_CALLS: Final = 30.0
#: Working hours shift (clock changes, late starts): at least half of a neighbouring hour is always usual.
_NEIGHBOUR: Final = 0.5
#: Nobody is expected to use nothing: 0.05 calls a bucket, which keeps ratios finite.
_LEAST_CALLS: Final = 0.05
#: A bucket teaches at most this many standard deviations above the usual.
_CLIP: Final = 4.0
_UNCLIPPED_CALLS: Final = 50
#: A team silent for a day is absent: its zeros would otherwise unlearn what it uses when it is back.
_ABSENT: Final = 288
#: Before anything is learnt, calls vary a little more than Poisson, tokens and cost like an exponential size per call.
_PRIOR_SPREAD: Final = np.array([1.5, 3.0, 3.0])
_PRIOR_WOBBLE: Final = np.array([1.5, 0.3, 0.1])
_LEAST_WOBBLE: Final = np.array([0.3, 0.05, 0.02])
#: How far the usual itself may be off, as a fraction: days differ.
DRIFT: Final = np.array([0.25, 0.3, 0.3])
RATIO_DRIFT: Final = np.array([0.2, 0.12, 0.12])
#: List prices of all large providers are near these multiples of the price of an input token.
CACHE_READ_PRICE: Final = 0.1
OUTPUT_PRICE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Usual:
    """Of each team in one bucket: expected[n, 4] calls, tokens, cost, price units; spread[n, spans, 3]: variance of a
    span's sum per unit expected; wobble[n, 3]: variance of each log ratio, per call."""

    expected: np.ndarray
    spread: np.ndarray
    wobble: np.ndarray


def slot_of(bucket: int) -> tuple[int, int]:
    """(weekend, hour) of a bucket number, UTC. 1970-01-01 was a Thursday."""
    day, hour = divmod(bucket // 12, 24)
    return int((day + 3) % 7 >= 5), hour


def usual(rows: np.ndarray, bucket: int) -> Usual:
    """What is expected in this bucket, from what was learnt before it."""
    weekend, hour = slot_of(bucket)
    here, other = weekend * 24 + hour, (1 - weekend) * 24 + hour
    before, after = weekend * 24 + (hour - 1) % 24, weekend * 24 + (hour + 1) % 24
    slots, seen, level = rows["slots"], rows["seen"], rows["level"]
    weight = seen[:, here, None].astype(np.float64)
    prior = np.where(seen[:, other, None] > 0, slots[:, other], level)
    mean = (weight * slots[:, here] + _PRIOR_BUCKETS * prior) / (weight + _PRIOR_BUCKETS)
    # Within the hour, use rises or falls towards the next one; only a rise matters for what may be a spike.
    part = (bucket % 12 + 0.5) / 12
    ahead, share = (after, part - 0.5) if part > 0.5 else (before, 0.5 - part)
    leaning = (1 - share) * mean[:, CALLS] + share * slots[:, ahead, CALLS]
    calls = np.maximum(
        np.maximum(mean[:, CALLS], leaning), _NEIGHBOUR * np.maximum(slots[:, before, CALLS], slots[:, after, CALLS])
    )
    calls = np.maximum(calls, _LEAST_CALLS)
    per_call = _per_call(level)
    mass = weight[:, 0] * slots[:, here, CALLS] + _PRIOR_CALLS
    tokens = (weight[:, 0] * slots[:, here, TOKENS] + _PRIOR_CALLS * per_call[:, 0]) / mass
    cost = (weight[:, 0] * slots[:, here, COST] + _PRIOR_CALLS * per_call[:, 1]) / mass
    units = _units_per_token(level)
    expected = np.stack([calls, calls * tokens, calls * cost, calls * tokens * units], axis=1)
    # What one call adds is the unit in which spread is counted; it is never under the noise of the number of calls
    # alone.
    unit = np.concatenate([np.ones((len(rows), 1)), per_call], axis=1)[:, None, :]
    spread = (rows["spread"][..., 0] + _PRIOR_SPREAD * _PRIOR_CALLS * unit**2) / (
        rows["spread"][..., 1] + _PRIOR_CALLS * unit + 1e-9
    )
    spread = np.maximum(spread, unit)
    wobble = (rows["wobble"][:, :, 0] + _PRIOR_WOBBLE * 20) / (rows["wobble"][:, :, 1] + 20)
    return Usual(expected, spread, np.maximum(wobble, _LEAST_WOBBLE))


def _per_call(level: np.ndarray) -> np.ndarray:
    """Tokens and cost per call of each team, [n, 2]; zeros before the first call."""
    calls = np.maximum(level[:, CALLS], 1e-12)
    return np.where(level[:, CALLS, None] > 0, level[:, [TOKENS, COST]] / calls[:, None], 0.0)


def _units_per_token(level: np.ndarray) -> np.ndarray:
    """Price units (an input token is one) per token, from the team's usual caching and output. 1 before the first
    token.
    """
    tokens = level[:, TOKENS]
    share = np.divide(price_units(level), tokens, out=np.ones(len(level)), where=tokens > 0)
    return np.where(share > 0, share, 1.0)


def price_units(sums: np.ndarray) -> np.ndarray:
    """What the tokens of sums[..., 5] would cost in input tokens: reads from a cache are cheap, output is dear."""
    output = np.maximum(sums[..., TOKENS] - sums[..., INPUT], 0)
    units: np.ndarray = sums[..., INPUT] - (1 - CACHE_READ_PRICE) * sums[..., CACHED] + OUTPUT_PRICE * output
    return units


def learn(
    rows: np.ndarray, bucket: int, observed: np.ndarray, mix: np.ndarray, known: Usual, taught: np.ndarray
) -> None:
    """Take one bucket into what is usual: observed[n, 5], mix[n, classes, 2]; only where `taught`[n]."""
    active = observed[:, CALLS] > 0
    rows["first"] = np.where((rows["first"] < 0) & active, bucket, rows["first"])
    rows["silent"] = np.where(active, 0, np.minimum(rows["silent"] + 1, 1 << 30))
    rows["calls_seen"] += observed[:, CALLS]
    taught = taught & (rows["first"] >= 0) & (rows["silent"] < _ABSENT)
    if not taught.any():
        return
    which = np.flatnonzero(taught)
    own = rows[which]
    expected, spread, wobble = known.expected[which, :3], known.spread[which], known.wobble[which]
    raw = observed[which]
    deviation = np.sqrt(spread[:, 0] * expected + (DRIFT * expected) ** 2)
    # Before a few dozen calls there is no usual to clip to.
    cap = np.where(own["calls_seen"][:, None] < _UNCLIPPED_CALLS, np.inf, expected + _CLIP * deviation)
    main = np.minimum(raw[:, :3], cap)
    kept = np.divide(main[:, 1], raw[:, 1], out=np.ones(len(own)), where=raw[:, 1] > 0)
    clipped = np.concatenate([main, raw[:, 3:] * kept[:, None]], axis=1)

    weekend, hour = slot_of(bucket)
    slot = weekend * 24 + hour
    count = np.minimum(own["seen"][:, slot] + 1, _SLOT_MEMORY)
    own["slots"][:, slot] += (clipped - own["slots"][:, slot]) / count[:, None]
    own["seen"][:, slot] = count
    # The level is a plain mean while young, so that the first hours already give usable ratios.
    pace = np.maximum(_SLOW, 1.0 / (bucket - own["first"] + 1))[:, None]
    own["level"] += (clipped - own["level"]) * pace
    own["mix"] += (mix[which] - own["mix"]) * pace[:, :, None]

    for at, span in enumerate(SPANS):
        told, due = own["observed"][:, -span:, :3].sum(axis=1), own["expected"][:, -span:, :3].sum(axis=1)
        limit = _CLIP**2 * (spread[:, at] * due + (DRIFT * due) ** 2)
        squared = np.minimum((told - due) ** 2, limit)
        own["spread"][:, at] = own["spread"][:, at] * (1 - _SLOW) + np.stack([squared, due], axis=2)
    calls = raw[:, :1]
    drift, sure = log_ratios(raw, known.expected[which])
    most = 3 * np.sqrt(wobble / np.maximum(calls, 1) + RATIO_DRIFT**2)
    moved = np.minimum(np.abs(drift), most) ** 2 * calls
    update = np.stack([np.where(sure, moved, 0.0), sure.astype(np.float64)], axis=2)
    own["wobble"] = own["wobble"] * (1 - _SLOW * sure[:, :, None]) + update
    rows[which] = own


def log_ratios(observed: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log of tokens per call, price per token and price units per token against the usual, and where both are known.

    observed[n, 5], expected[n, 4] -> [n, 3] each. The last needs no prices: it moves when caching or output does.
    """
    top = np.stack([observed[:, TOKENS], observed[:, COST], price_units(observed)], axis=1)
    base = observed[:, [CALLS, TOKENS, TOKENS]]
    top_usual, base_usual = expected[:, 1:4], expected[:, [CALLS, TOKENS, TOKENS]]
    sure = (top > 0) & (base > 0) & (top_usual > 0) & (base_usual > 0)
    ratio = np.divide(top * base_usual, base * top_usual, out=np.ones_like(top), where=sure)
    return np.log(ratio), sure


def adopt(row: np.ndarray, ratios: np.ndarray) -> None:
    """Take ratios[3] of calls, tokens and cost as the new usual of one team."""
    five = np.array([ratios[0], ratios[1], ratios[2], ratios[1], ratios[1]])
    row["slots"] *= five.astype(np.float32)
    row["level"] *= five
    row["mix"] *= ratios[1:3].astype(np.float32)
