"""In: one closed bucket of every series. Out: the last half hour beside the usual, and what the hour has taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.agents.spikes.baseline import (
    CLASSES,
    DRIFT,
    HOUR,
    MEASURE_COUNT,
    RATIO_DRIFT,
    RATIOS,
    SPANS,
    Lesson,
    Usual,
    log_ratios,
)
from streams.agents.spikes.buckets import CACHED, CALLS, COST, INPUT, OUTPUT, RING, WIDTH

#: What is held of one series beside what it has learnt. It changes with every bucket.
RUNNING: Final = np.dtype(
    [
        ("observed", np.float64, (RING, WIDTH)),  # by bucket modulo RING
        ("expected", np.float32, (RING, WIDTH)),
        ("hits", np.uint8, (MEASURE_COUNT,)),  # a bit per recent bucket that stood out
        ("ended", np.int32),  # the bucket where the last episode ended: nothing begins before it again
        ("silent", np.int32),  # buckets in a row without a call, at most a day
        ("early", np.float64, (2,)),  # cost of a bucket above which a rise is plain: this hour, the next
        ("taught", np.float32),
        ("kept", np.float32, (WIDTH,)),
        ("due", np.float32),
        ("noise", np.float32, (len(SPANS), 2, 2)),
        ("drift", np.float32, (RATIOS, 2)),
        ("top", np.float32, (MEASURE_COUNT,)),
        ("peak", np.float32, (2,)),
        ("reach", np.float32),
        ("adopt", np.float32, (WIDTH,)),  # ratios to take over at the end of the hour; zeros: none
    ]
)

#: A bucket teaches at most this many standard deviations above the usual.
_CLIP: Final = 4.0
_REACH_GROWTH: Final = 1.25
#: Before so many calls there is no usual to clip to.
_YOUNG_CALLS: Final = 50


def fresh(count: int) -> np.ndarray:
    rows = np.zeros(count, dtype=RUNNING)
    rows["early"] = np.inf
    return rows


@dataclass(frozen=True, slots=True)
class Look:
    """The bucket and the spans that end with it, [1 + spans, n, …]: sums, log ratios, where they are known, and the
    standard deviations of calls and cost."""

    observed: np.ndarray
    expected: np.ndarray
    moved: np.ndarray
    sure: np.ndarray
    deviation: np.ndarray


def look(running: np.ndarray, known: Usual, bucket: int) -> Look:
    """What the bucket noted last adds up to."""
    shape = (1 + len(SPANS), len(running), WIDTH)
    observed, expected = np.empty(shape), np.empty(shape)
    for k, span in enumerate((1, *SPANS)):
        at = (bucket - np.arange(span)) % RING
        for name, into in (("observed", observed), ("expected", expected)):
            np.sum(running[name][:, at] if span < RING else running[name], axis=1, dtype=np.float64, out=into[k])
    moved, sure = log_ratios(observed, expected)
    usual = expected[..., [CALLS, COST]]
    noise = known.noise.transpose(1, 0, 2)[[0, *range(len(SPANS))]]
    return Look(observed, expected, moved, sure, np.sqrt(noise * usual + (DRIFT * usual) ** 2))


def teach(own: np.ndarray, running: np.ndarray, known: Usual, seen: Look, bucket: int, may: np.ndarray) -> None:
    """Keep one closed bucket for learning where `may`[n], clipped so that a rise does not teach itself. `own`: rows of
    what is learnt."""
    one = may[:, None]
    observed, expected = seen.observed[0], seen.expected[0]
    young = own["calls"] < _YOUNG_CALLS
    calls = observed[:, :1]
    spread = 3 * np.sqrt(known.drift / np.maximum(calls, 1) + RATIO_DRIFT**2)
    running["kept"] += _clipped(seen, spread, young) * one
    running["due"] += known.base[:, bucket % HOUR] * may
    running["taught"] += may
    pair = [CALLS, COST]
    for k in range(len(SPANS)):
        usual = seen.expected[1 + k][:, pair]
        squared = np.minimum((seen.observed[1 + k][:, pair] - usual) ** 2, (_CLIP * seen.deviation[1 + k]) ** 2)
        running["noise"][:, k, :, 0] += squared * one
        running["noise"][:, k, :, 1] += usual * one
    sure = seen.sure[0] & one
    running["drift"][:, :, 0] += np.minimum(np.abs(seen.moved[0]), spread) ** 2 * calls * sure
    running["drift"][:, :, 1] += sure
    most = np.where(young[:, None], np.inf, np.maximum(3 * expected[:, pair], 1.5 * own["peak"]))
    running["peak"] = np.maximum(running["peak"], np.minimum(observed[:, pair], most) * one)


def note_top(own: np.ndarray, running: np.ndarray, strength: np.ndarray, may: np.ndarray) -> None:
    """Keep how far quiet times stand out: strength[n, measures]. It may grow by a quarter an hour."""
    most = np.maximum(1.0, 1.25 * own["top"])
    running["top"] = np.maximum(running["top"], np.minimum(strength, most) * may[:, None])


def note_reach(running: np.ndarray, known: Usual, seen: Look, may: np.ndarray, calm: np.ndarray) -> None:
    """Keep what half an hour has come to. An episode may raise that by a quarter: it may come again."""
    cost = np.maximum(running["reach"], seen.observed[-1][:, COST] * may)
    running["reach"] = np.where(calm, cost, np.minimum(cost, _REACH_GROWTH * known.reach))


def _clipped(seen: Look, spread: np.ndarray, young: np.ndarray) -> np.ndarray:
    """The bucket's sums[n, WIDTH] with calls, tokens per call and cost per call held within what may teach."""
    observed, expected, moved, sure = seen.observed[0], seen.expected[0], seen.moved[0], seen.sure[0]
    calls = observed[:, CALLS]
    most = expected[:, CALLS] + _CLIP * seen.deviation[0][:, 0]
    kept = np.where(young, 1.0, np.minimum(1.0, np.divide(most, calls, out=np.ones(len(calls)), where=calls > 0)))
    taken: np.ndarray = observed * kept[:, None]
    tokens = np.where(sure[:, 0] & ~young, np.exp(np.minimum(0, spread[:, 0] - moved[:, 0])), 1.0)
    whole = moved[:, 0] + moved[:, 1] - spread[:, 0] - spread[:, 1]
    taken[:, [INPUT, CACHED, OUTPUT]] *= tokens[:, None]
    taken[:, COST] *= np.where(sure[:, 1] & ~young, np.exp(np.minimum(0, -whole)), 1.0)
    return taken


def lesson_of(running: np.ndarray, mix: np.ndarray) -> Lesson:
    """What the hour has taught; the rows begin the next one. `mix`[n, CLASSES, 2]: tokens and cost by class."""
    names = ("taught", "kept", "due", "noise", "drift", "top", "peak", "reach")
    taken = {name: running[name].copy() for name in names}
    for name in names:
        running[name] = 0
    assert mix.shape[1:] == (CLASSES, 2)
    return Lesson(**taken, mix=mix)
