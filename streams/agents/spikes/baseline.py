"""In: closed buckets of every team. Out: what each team usually uses at this hour, and how much that varies.

Use differs between weekdays and weekends and by the hour, so there are 48 slots, each an exponentially weighted mean
of clipped buckets. Tokens per call and price per token vary little by the hour, so a slot's own ratio is shrunk
towards the team's. Every amount is per 5-minute bucket. All functions work on all teams and on a whole hour at once:
rows[n] of `TEAM`, of which a slot's hour is expected by what was learnt before it began, and learnt when it is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.agents.spikes.buckets import CACHED, CALLS, COST, INPUT, TOKENS, WIDTH

SLOTS: Final = 48
#: Buckets of observed and expected use that the evidence looks back on: half an hour.
RING: Final = 6
#: Buckets of an hour, which is what a slot holds and what is judged in one go.
HOUR: Final = 12
#: Buckets held per team: what the first span of the hour looks back on, and the hour.
BACK: Final = RING - 1
HELD: Final = BACK + HOUR
#: Spans that evidence is summed over, in buckets: short ones see strong incidents early, long ones weak ones surely.
SPANS: Final = (3, RING)
#: Model classes told apart per team; further ones share the last place.
CLASSES: Final = 8

#: The whole memory of one team, about 3.5 kB.
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
        # Five buckets of the hour before, then the twelve of the running hour.
        ("observed", np.float64, (HELD, WIDTH)),
        ("expected", np.float64, (HELD, 4)),  # calls, tokens, cost, price units
        ("mix_held", np.float32, (HELD, CLASSES, 2)),
        ("taught", np.bool_, (HOUR,)),  # which buckets of the running hour may teach what is usual
        ("hits", np.uint8, (5,)),  # a bit per recent bucket that stood out, by measure
        ("mix", np.float32, (CLASSES, 2)),  # slow mean of tokens and cost per model class
        (
            "adopt",
            np.float64,
            (3,),
        ),  # ratios of calls, tokens and cost to take over at the end of the hour; zeros: none
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
    """Of each team in one hour: expected[n, 12, 4] calls, tokens, cost, price units by bucket; spread[n, spans, 3]:
    variance of a span's sum per unit expected; wobble[n, 3]: variance of each log ratio, per call."""

    expected: np.ndarray
    spread: np.ndarray
    wobble: np.ndarray


def slot_of(bucket: int) -> tuple[int, int]:
    """(weekend, hour) of a bucket number, UTC. 1970-01-01 was a Thursday."""
    day, hour = divmod(bucket // HOUR, 24)
    return int((day + 3) % 7 >= 5), hour


def usual(rows: np.ndarray, start: int) -> Usual:
    """What is expected in the hour that starts with bucket `start`, from what was learnt before it."""
    weekend, hour = slot_of(start)
    here, other = weekend * 24 + hour, (1 - weekend) * 24 + hour
    before, after = weekend * 24 + (hour - 1) % 24, weekend * 24 + (hour + 1) % 24
    slots, seen, level = rows["slots"], rows["seen"], rows["level"]
    weight = seen[:, here, None].astype(np.float64)
    prior = np.where(seen[:, other, None] > 0, slots[:, other], level)
    mean = ((weight * slots[:, here] + _PRIOR_BUCKETS * prior) / (weight + _PRIOR_BUCKETS))[:, CALLS, None]
    # Within the hour, use rises or falls towards the next one; only a rise matters for what may be a spike.
    part = (np.arange(HOUR) + 0.5) / HOUR
    share = np.abs(part - 0.5)
    ahead = np.where(part > 0.5, slots[:, after, CALLS, None], slots[:, before, CALLS, None])
    beside = _NEIGHBOUR * np.maximum(slots[:, before, CALLS, None], slots[:, after, CALLS, None])
    calls = np.maximum(np.maximum(mean, (1 - share) * mean + share * ahead), np.maximum(beside, _LEAST_CALLS))
    # Nothing is expected of a team before its first call.
    calls = calls * (start + np.arange(HOUR) >= rows["first"][:, None])
    per_call = _per_call(level)
    mass = weight[:, 0] * slots[:, here, CALLS] + _PRIOR_CALLS
    tokens = (weight[:, 0] * slots[:, here, TOKENS] + _PRIOR_CALLS * per_call[:, 0]) / mass
    cost = (weight[:, 0] * slots[:, here, COST] + _PRIOR_CALLS * per_call[:, 1]) / mass
    factors = np.stack([np.ones(len(rows)), tokens, cost, tokens * _units_per_token(level)], axis=1)
    # What one call adds is the unit in which spread is counted; never under the noise of the number of calls alone.
    unit = np.concatenate([np.ones((len(rows), 1)), per_call], axis=1)[:, None, :]
    spread = (rows["spread"][..., 0] + _PRIOR_SPREAD * _PRIOR_CALLS * unit**2) / (
        rows["spread"][..., 1] + _PRIOR_CALLS * unit + 1e-9
    )
    wobble = (rows["wobble"][:, :, 0] + _PRIOR_WOBBLE * 20) / (rows["wobble"][:, :, 1] + 20)
    return Usual(calls[:, :, None] * factors[:, None], np.maximum(spread, unit), np.maximum(wobble, _LEAST_WOBBLE))


def _per_call(level: np.ndarray) -> np.ndarray:
    """Tokens and cost per call of each team, [n, 2]; zeros before the first call."""
    calls = np.maximum(level[:, CALLS], 1e-12)
    return np.where(level[:, CALLS, None] > 0, level[:, [TOKENS, COST]] / calls[:, None], 0.0)


def _units_per_token(level: np.ndarray) -> np.ndarray:
    """Price units (an input token is one) per token, from the team's usual caching and output. 1 before any token."""
    tokens = level[:, TOKENS]
    share = np.divide(price_units(level), tokens, out=np.ones(len(level)), where=tokens > 0)
    return np.where(share > 0, share, 1.0)


def price_units(sums: np.ndarray) -> np.ndarray:
    """What the tokens of sums[..., 5] would cost in input tokens: reads from a cache are cheap, output is dear."""
    output = np.maximum(sums[..., TOKENS] - sums[..., INPUT], 0)
    units: np.ndarray = sums[..., INPUT] - (1 - CACHE_READ_PRICE) * sums[..., CACHED] + OUTPUT_PRICE * output
    return units


def span_sums(held: np.ndarray, span: int) -> np.ndarray:
    """Sums of the `span` buckets that end with each bucket of the hour: [n, HELD, w] -> [n, 12, w]."""
    running = np.cumsum(held, axis=1)
    sums: np.ndarray = running[:, BACK:].copy()
    if span <= BACK:
        sums -= running[:, BACK - span : HELD - span]
    else:
        sums[:, 1:] -= running[:, : HOUR - 1]
    return sums


def learn(rows: np.ndarray, start: int, known: Usual) -> None:
    """Take the hour that started with bucket `start` into what is usual, then make room for the next one."""
    _teach(rows, start, known)
    for number in np.flatnonzero(rows["adopt"][:, 0]).tolist():
        _adopt(rows[number])
    for name in ("observed", "expected", "mix_held"):
        rows[name][:, :BACK] = rows[name][:, HOUR:].copy()
        rows[name][:, BACK:] = 0
    rows["taught"] = False


def _teach(rows: np.ndarray, start: int, known: Usual) -> None:
    busy = rows["observed"][:, BACK:, CALLS] > 0
    quiet_end = np.where(busy.any(axis=1), np.argmax(busy[:, ::-1], axis=1), rows["silent"] + HOUR)
    rows["silent"] = np.minimum(quiet_end, 1 << 30)
    taught = rows["taught"] & ((rows["first"] >= 0) & (rows["silent"] < _ABSENT))[:, None]
    taught &= start + np.arange(HOUR) >= rows["first"][:, None]
    which = np.flatnonzero(taught.any(axis=1))
    if len(which):
        own, taught = rows[which], taught[which]
        count = taught.sum(axis=1)
        expected, spread = known.expected[which], known.spread[which]
        _teach_means(own, start, taught, count, expected[:, :, :3], spread)
        _teach_noise(own, taught, count, expected, spread, known.wobble[which])
        rows[which] = own
    rows["calls_seen"] += rows["observed"][:, BACK:, CALLS].sum(axis=1)


def _teach_means(
    own: np.ndarray, start: int, taught: np.ndarray, count: np.ndarray, expected: np.ndarray, spread: np.ndarray
) -> None:
    """Slot, level and mix, from the hour's buckets clipped so that a spike does not teach itself."""
    raw = own["observed"][:, BACK:]
    deviation = np.sqrt(spread[:, None, 0] * expected + (DRIFT * expected) ** 2)
    # Before a few dozen calls there is no usual to clip to.
    young = own["calls_seen"][:, None, None] < _UNCLIPPED_CALLS
    main = np.minimum(raw[..., :3], np.where(young, np.inf, expected + _CLIP * deviation))
    kept = np.divide(main[..., 1], raw[..., 1], out=np.ones(main.shape[:2]), where=raw[..., 1] > 0)
    clipped = np.concatenate([main, raw[..., 3:] * kept[..., None]], axis=2)
    mean = (clipped * taught[..., None]).sum(axis=1) / count[:, None]
    weekend, hour = slot_of(start)
    slot = weekend * 24 + hour
    seen = np.minimum(own["seen"][:, slot] + count, _SLOT_MEMORY)
    own["slots"][:, slot] += (mean - own["slots"][:, slot]) * (count / seen)[:, None]
    own["seen"][:, slot] = seen
    # The level is a plain mean while young, so that the first hours already give usable ratios.
    age = np.maximum(start + HOUR - own["first"], count)
    pace = np.maximum(1 - (1 - _SLOW) ** count, count / age)[:, None]
    own["level"] += (mean - own["level"]) * pace
    mix = (own["mix_held"][:, BACK:] * taught[:, :, None, None]).sum(axis=1) / count[:, None, None]
    own["mix"] += (mix - own["mix"]) * pace[:, :, None]


def _teach_noise(
    own: np.ndarray, taught: np.ndarray, count: np.ndarray, expected: np.ndarray, spread: np.ndarray, wobble: np.ndarray
) -> None:
    """How much sums of spans and ratios vary, clipped as well."""
    fade = ((1 - _SLOW) ** count)[:, None]
    for at, span in enumerate(SPANS):
        told, due = span_sums(own["observed"][..., :3], span), span_sums(own["expected"][..., :3], span)
        limit = _CLIP**2 * (spread[:, None, at] * due + (DRIFT * due) ** 2)
        squared = np.minimum((told - due) ** 2, limit)
        fresh = np.stack([squared, due], axis=3) * taught[:, :, None, None]
        own["spread"][:, at] = own["spread"][:, at] * fade[:, :, None] + fresh.sum(axis=1)
    raw = own["observed"][:, BACK:]
    drift, sure = log_ratios(raw, expected)
    sure &= taught[..., None]
    calls = raw[..., :1]
    most = 3 * np.sqrt(wobble[:, None] / np.maximum(calls, 1) + RATIO_DRIFT**2)
    moved = np.minimum(np.abs(drift), most) ** 2 * calls * sure
    judged = sure.sum(axis=1)
    faded = own["wobble"] * ((1 - _SLOW) ** judged)[:, :, None]
    own["wobble"] = faded + np.stack([moved.sum(axis=1), judged], axis=2)


def log_ratios(observed: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log of tokens per call, price per token and price units per token against the usual, and where both are known.

    observed[..., 5], expected[..., 4] -> [..., 3] each. The last needs no prices: it moves when caching or output does.
    """
    top = np.stack([observed[..., TOKENS], observed[..., COST], price_units(observed)], axis=-1)
    base = observed[..., [CALLS, TOKENS, TOKENS]]
    top_usual, base_usual = expected[..., 1:4], expected[..., [CALLS, TOKENS, TOKENS]]
    sure = (top > 0) & (base > 0) & (top_usual > 0) & (base_usual > 0)
    ratio = np.divide(top * base_usual, base * top_usual, out=np.ones_like(top), where=sure)
    return np.log(ratio), sure


def _adopt(row: np.ndarray) -> None:
    """Take the ratios of calls, tokens and cost that were noted as the new usual of one team."""
    calls, tokens, cost = row["adopt"]
    row["slots"] *= np.array([calls, tokens, cost, tokens, tokens], dtype=np.float32)
    row["level"] *= np.array([calls, tokens, cost, tokens, tokens])
    row["mix"] *= np.array([tokens, cost], dtype=np.float32)
    row["adopt"] = 0
