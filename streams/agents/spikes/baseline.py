"""In: hours of every series as they were kept for learning. Out: what each usually uses at this hour of the week.

Calls have a shape over the 168 hours of the week, which leans on the same hour of like days while it is young, and a
level that follows growth. What a call takes (tokens, cache reads, output, failures, money) varies little by the hour,
so coarse slots hold it: three hours of workdays, six of weekends. Amounts are per 5-minute bucket. A series is a row of
`TEAM`; all functions work on all series at once. Nothing here changes but at the end of an hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.agents.spikes.buckets import CACHED, CALLS, COST, INPUT, OUTPUT, WIDTH

#: Buckets of an hour, after which is learnt what the hour taught.
HOUR: Final = 12
WEEK_HOURS: Final = 168
#: Where what a call takes is told apart: eight parts of workdays, four of weekends.
SLOTS: Final = 12
#: Spans that evidence is summed over, in buckets: short ones see strong rises early, long ones weak ones surely.
SPANS: Final = (2, 6)
#: Model classes told apart per series; further ones share the last place.
CLASSES: Final = 8
#: How many ratios are judged: tokens per call, price per token, price units per token.
RATIOS: Final = 3
MEASURE_COUNT: Final = 5

#: All that is learnt of one series.
TEAM: Final = np.dtype(
    [
        ("shape", np.float16, (WEEK_HOURS,)),  # square root of calls per bucket
        ("weight", np.uint8, (WEEK_HOURS,)),  # buckets that taught it, at most _SLOT_MEMORY
        ("slots", np.float32, (SLOTS, WIDTH)),  # decayed sums
        ("level", np.float32, (2,)),  # decayed calls and what the shape alone expected
        ("noise", np.float32, (len(SPANS), 2, 2)),  # decayed squared deviations and expectations: calls, cost
        ("drift", np.float32, (RATIOS, 2)),  # decayed squared log ratios times calls, and how many
        ("top", np.float32, (MEASURE_COUNT,)),  # decayed maximum of the strength of quiet times, by measure
        ("peak", np.float32, (2,)),  # decayed maximum of a bucket's calls and cost
        ("reach", np.float16, (2, SLOTS)),  # fourth root of the most that half an hour cost by slot; and since then
        ("mix", np.float32, (CLASSES, 2)),  # decayed tokens and cost per model class
        ("first", np.int32),  # first bucket with use; -1: none yet
        ("calls", np.float32),  # taught so far
        ("hours", np.uint16),  # taught so far
    ]
)

#: A slot of the week remembers about five weeks.
_SLOT_MEMORY: Final = 60
#: A young slot leans on the same hour of like days with the weight of a week, and those on all others with a quarter.
_OWN: Final = 12.0
_LIKE: Final = 3.0
#: Level: two days of use.
_LEVEL_FADE: Final = 1 - 1 / 48
_LEVEL_CALLS: Final = 30.0
_LEAST_LEVEL, _MOST_LEVEL = 0.8, 2.0
_SLOT_FADE: Final = 1 - 1 / 45
_SLOW_FADE: Final = 1 - 1 / 72
#: What was the strongest of quiet times fades by half in three weeks.
_TOP_FADE: Final = 0.5 ** (1 / (21 * 24))
#: The same of what half an hour cost, by slot of a day, as a fourth root.
_REACH_FADE: Final = 0.5 ** (1 / (4 * 21))
#: A slot's ratios lean on those of all with the weight of thirty calls.
_PRIOR_CALLS: Final = 30.0
#: Working hours shift (clock changes, late starts): a part of a neighbouring hour is always usual.
_NEIGHBOUR: Final = 0.5
#: Nobody is expected to use nothing.
_LEAST_CALLS: Final = 0.05
#: Silent for a day, a series is absent: its zeros would otherwise unlearn what it uses when it is back.
ABSENT: Final = 288
#: Before anything is learnt, calls vary a little more than Poisson, cost like an exponential size per call.
_PRIOR_NOISE: Final = np.array([1.5, 3.0])
_PRIOR_DRIFT: Final = np.array([1.5, 0.3, 0.1])
_LEAST_DRIFT: Final = np.array([0.3, 0.05, 0.02])
#: How far the usual itself may be off, as a fraction: days differ.
DRIFT: Final = np.array([0.25, 0.3])
RATIO_DRIFT: Final = np.array([0.2, 0.12, 0.12])
#: List prices of all large providers are near these multiples of the price of an input token.
CACHE_READ_PRICE: Final = 0.1
OUTPUT_PRICE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Usual:
    """Of each series in one hour: calls[n, 12] by bucket; base[n, 12] the same without level; ratio[n, WIDTH] sums per
    call; noise[n, spans, 2]: variance of a span's calls and cost per unit expected; drift[n, 3]: variance of each log
    ratio, per call; reach[n]: nano-USD that half an hour has come to by itself around this time of like days."""

    calls: np.ndarray
    base: np.ndarray
    ratio: np.ndarray
    noise: np.ndarray
    drift: np.ndarray
    reach: np.ndarray


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one hour taught each series: `taught`[n] buckets, their clipped sums `kept`[n, WIDTH], the calls that the
    shape alone expected of them `due`[n]; fresh noise, drift, top, peak and reach; tokens and cost by class `mix`."""

    taught: np.ndarray
    kept: np.ndarray
    due: np.ndarray
    noise: np.ndarray
    drift: np.ndarray
    top: np.ndarray
    peak: np.ndarray
    reach: np.ndarray
    mix: np.ndarray


def hour_of_week(hour: int) -> int:
    """Of hours since the epoch, UTC; 0 is Monday's first. 1970-01-01 was a Thursday."""
    return (hour + 72) % WEEK_HOURS


def slot_of(week_hour: int) -> int:
    day, hour = divmod(week_hour, 24)
    return hour // 3 if day < 5 else 8 + hour // 6


def usual(rows: np.ndarray, hour: int) -> Usual:
    """What is expected in an hour (since the epoch), from what was learnt so far."""
    here = hour_of_week(hour)
    calls, before, after = (_calls(rows, (here + step) % WEEK_HOURS) for step in (0, -1, 1))
    # Within the hour, use rises or falls towards the next one; only a rise matters for what may be a spike.
    part = (np.arange(HOUR) + 0.5) / HOUR
    share = np.abs(part - 0.5)
    ahead = np.where(part > 0.5, after[:, None], before[:, None])
    beside = _NEIGHBOUR * np.maximum(before, after)[:, None]
    own = calls[:, None]
    base = np.maximum(np.maximum(own, (1 - share) * own + share * ahead), beside)
    level = np.clip(
        (rows["level"][:, 0] + _LEVEL_CALLS) / (rows["level"][:, 1] + _LEVEL_CALLS), _LEAST_LEVEL, _MOST_LEVEL
    )
    ratio = per_call(rows, slot_of(here))
    unit = np.stack([np.ones(len(rows)), ratio[:, COST]], axis=1)[:, None]
    # What one call adds is the unit in which noise is counted; never under the noise of the number of calls alone.
    noise = (rows["noise"][..., 0] + _PRIOR_NOISE * _PRIOR_CALLS * unit**2) / (
        rows["noise"][..., 1] + _PRIOR_CALLS * unit + 1e-9
    )
    drift = (rows["drift"][..., 0] + _PRIOR_DRIFT * 20) / (rows["drift"][..., 1] + 20)
    return Usual(
        np.maximum(base * level[:, None], _LEAST_CALLS),
        base,
        ratio,
        np.maximum(noise, unit),
        np.maximum(drift, _LEAST_DRIFT),
        _reach(rows, here),
    )


def _reach(rows: np.ndarray, week_hour: int) -> np.ndarray:
    """The most of the slots that the hour and its neighbours lie in: what people do shifts by an hour."""
    slots = [slot_of((week_hour + step) % WEEK_HOURS) for step in (-1, 0, 1)]
    found: np.ndarray = rows["reach"][:, 0, slots].astype(np.float64).max(axis=1) ** 4
    return found


def _calls(rows: np.ndarray, week_hour: int) -> np.ndarray:
    """Calls per bucket in one hour of the week: its own, leaning on like days, and those on the other days."""
    day, hour = divmod(week_hour, 24)
    week = rows["shape"][:, hour::24].astype(np.float64) ** 2
    weight = rows["weight"][:, hour::24].astype(np.float64)
    work = np.arange(7) < 5
    like, other = (work, ~work) if day < 5 else (~work, work)
    far_weight = weight[:, other].sum(axis=1)
    far = (week[:, other] * weight[:, other]).sum(axis=1)
    calls = np.divide(far, far_weight, out=_mean(rows), where=far_weight > 0)
    near_weight = weight[:, like].sum(axis=1)
    near = ((week[:, like] * weight[:, like]).sum(axis=1) + _LIKE * calls) / (near_weight + _LIKE)
    own: np.ndarray = (week[:, day] * weight[:, day] + _OWN * near) / (weight[:, day] + _OWN)
    return own


def _mean(rows: np.ndarray) -> np.ndarray:
    """Calls per bucket over all hours that were learnt."""
    weight = rows["weight"].astype(np.float32)
    total = weight.sum(axis=1)
    weighted = (rows["shape"].astype(np.float32) ** 2 * weight).sum(axis=1)
    mean: np.ndarray = np.divide(weighted, total, out=np.zeros(len(rows)), where=total > 0)
    return mean


def per_call(rows: np.ndarray, slot: int) -> np.ndarray:
    """[n, WIDTH] sums per call as usual in one slot; zeros before the first call."""
    slots = rows["slots"].astype(np.float64)
    whole = slots.sum(axis=1)
    mean = np.divide(whole, whole[:, :1], out=np.zeros_like(whole), where=whole[:, :1] > 0)
    ratio: np.ndarray = (slots[:, slot] + _PRIOR_CALLS * mean) / (slots[:, slot, :1] + _PRIOR_CALLS)
    ratio[:, CALLS] = 1.0
    return ratio


def price_units(sums: np.ndarray) -> np.ndarray:
    """What the tokens of sums[..., WIDTH] would cost in input tokens: cache reads are cheap, output is dear."""
    units: np.ndarray = sums[..., INPUT] - (1 - CACHE_READ_PRICE) * sums[..., CACHED] + OUTPUT_PRICE * sums[..., OUTPUT]
    return units


def log_ratios(observed: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log of tokens per call, price per token and price units per token against the usual, and where both are known.

    [..., WIDTH] each -> [..., 3] each. The last needs no prices: it moves when caching or output does.
    """
    tokens, usual_tokens = observed[..., INPUT] + observed[..., OUTPUT], expected[..., INPUT] + expected[..., OUTPUT]
    units = price_units(observed) * usual_tokens
    usual_units = price_units(expected) * tokens
    top, base = np.empty((*tokens.shape, RATIOS)), np.empty((*tokens.shape, RATIOS))
    np.multiply(tokens, expected[..., CALLS], out=top[..., 0])
    np.multiply(usual_tokens, observed[..., CALLS], out=base[..., 0])
    np.multiply(observed[..., COST], usual_tokens, out=top[..., 1])
    np.multiply(expected[..., COST], tokens, out=base[..., 1])
    top[..., 2], base[..., 2] = units, usual_units
    sure = (top > 0) & (base > 0)
    ratio = np.divide(top, base, out=np.ones_like(top), where=sure)
    return np.log(ratio, out=ratio), sure


def learn(rows: np.ndarray, hour: int, lesson: Lesson) -> None:
    """Take what an hour taught into what is usual. Series that taught nothing stay as they are."""
    here = hour_of_week(hour)
    slot = slot_of(here)
    if slot_of((here - 1) % WEEK_HOURS) != slot:
        # A rise must not be held against itself while it goes on: what a slot has seen counts from its next day on.
        reach = rows["reach"]
        reach[:, 0, slot] = np.maximum(reach[:, 0, slot] * np.float16(_REACH_FADE), reach[:, 1, slot])
        reach[:, 1, slot] = 0
    chosen = np.flatnonzero((lesson.taught > 0) & (rows["first"] >= 0))
    if not len(chosen):
        return
    own = rows[chosen]
    taught, kept = lesson.taught[chosen].astype(np.float64), lesson.kept[chosen].astype(np.float64)
    part = taught / HOUR
    mean = kept[:, CALLS] / taught
    seen = np.minimum(own["weight"][:, here] + taught, _SLOT_MEMORY)
    was = own["shape"][:, here].astype(np.float64) ** 2
    own["shape"][:, here] = np.sqrt(np.maximum(was + (mean - was) * taught / seen, 0))
    own["weight"][:, here] = seen
    own["slots"][:, slot] = own["slots"][:, slot] * (_SLOT_FADE**part)[:, None] + kept
    fresh = np.stack([kept[:, CALLS], lesson.due[chosen]], axis=1)
    own["level"] = own["level"] * (_LEVEL_FADE**part)[:, None] + fresh
    slow = _SLOW_FADE**part
    own["noise"] = own["noise"] * slow[:, None, None, None] + lesson.noise[chosen]
    own["drift"] = own["drift"] * slow[:, None, None] + lesson.drift[chosen]
    own["mix"] = own["mix"] * slow[:, None, None] + lesson.mix[chosen]
    fade = (_TOP_FADE**part)[:, None]
    own["top"] = np.maximum(own["top"] * fade, lesson.top[chosen])
    own["peak"] = np.maximum(own["peak"] * fade, lesson.peak[chosen])
    own["reach"][:, 1, slot] = np.maximum(own["reach"][:, 1, slot], np.maximum(lesson.reach[chosen], 0) ** 0.25)
    own["calls"] += kept[:, CALLS]
    own["hours"] = np.minimum(own["hours"].astype(np.int64) + (part >= 0.5), 65_535)
    rows[chosen] = own


def adopt(row: np.ndarray, ratios: np.ndarray) -> None:
    """Take ratios[WIDTH] of sums, observed over usual, as the new usual of one series."""
    row["shape"] = np.minimum(row["shape"].astype(np.float64) * np.sqrt(ratios[CALLS]), 60_000)
    row["slots"] *= ratios.astype(np.float32)
    row["reach"] *= np.float16(ratios[COST] ** 0.25)
    row["peak"] *= np.array([ratios[CALLS], ratios[COST]], dtype=np.float32)
