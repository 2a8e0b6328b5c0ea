"""In: one plain series, rows of time and value. Out: per row how far it lies from what was to be expected, in robust
standard deviations.

For series that are no usage: no calls, tokens or money, and falls count like rises. The ideas are the detector's: a
shape over the week, shrunk while young (`plain_season`), clipped learning so that a spike teaches little, a floor under
the noise, evidence over one row and over six, adoption of what lasts, and a bar that rises with what is the strongest
of quiet times. A score depends on no later row.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from math import exp, sqrt
from statistics import median
from typing import Final

from streams.agents.spikes.plain_season import Season

#: Rows that the interval is taken from; scores begin later than that.
INTERVAL_ROWS: Final = 48
#: Intervals that are understood, in seconds.
LEAST_INTERVAL_S, MOST_INTERVAL_S = 1, 86_400
#: No score is higher: of a constant that moves at all, any multiple could be told.
MOST_SCORE: Final = 1000.0
#: Warm-up: a day of rows, within these.
_LEAST_WARM_UP, _MOST_WARM_UP = INTERVAL_ROWS, 288
#: How fast the levels that compete follow; the slowest is a day of rows.
_GAINS: Final = (0.5, 0.1)
#: Standard deviation over mean absolute deviation, of normal noise.
_SD: Final = 1.2533
#: What teaches is clipped at so many standard deviations: the level, the noise, and which level is right.
_CLIP, _CLIP_NOISE, _CLIP_ERROR = 3.0, 4.0, 20.0
#: Until something is learnt, noise is a hundredth of the level, with the weight of five rows.
_PRIOR_NOISE, _PRIOR_ROWS = 0.01, 5
#: So many rows beyond `_FAR` on one side are the new usual. A return to the former one within a while is not told, and
#: is one where `_BACK` rows lie nearer to that, by this factor.
_ADOPT, _FAR, _RETURN, _BACK = 6, 3.5, 1 / 3, 2
#: Rows that weak evidence is averaged over, and its least noise, in standard deviations of a row.
_SPAN, _SPAN_FLOOR = 6, 0.3
#: One row in a hundred of quiet times may lie beyond `_QUIET`; where more do, scores are taken down to that.
_TAIL, _QUIET, _TAIL_STEP = 0.01, 3.0, 0.12
#: Rows of a run that raise the bar.
_TAIL_RUN: Final = 3
#: Up to this level whole numbers vary like counts, whatever has been seen yet.
_COUNTS: Final = 8.0
#: So many rows missing, no level is up to date.
_GAP: Final = 3


class IntervalError(ValueError):
    """The steps of a series are shorter than a second or longer than a day."""


def interval_of(times_us: Sequence[int]) -> float:
    """Seconds between rows: the median step of the first rows that differ. `times_us` in order. 60 where fewer than two
    differ.

    Raises IntervalError.
    """
    steps = [later - one for one, later in pairwise(times_us[:INTERVAL_ROWS]) if later > one]
    if not steps:
        return 60.0
    interval = float(median(steps)) / 1e6
    if not LEAST_INTERVAL_S <= interval <= MOST_INTERVAL_S:
        raise IntervalError(
            f"rows are {interval:g} seconds apart; from {LEAST_INTERVAL_S} second to {MOST_INTERVAL_S} (a day) is "
            "understood: take sums or means of shorter ones, and check the unit of the timestamps"
        )
    return interval


def warm_up_rows(interval_s: float) -> int:
    """Rows with a value before the first score: a day's, 48 at least and 288 at most."""
    return round(min(max(86_400 / interval_s, _LEAST_WARM_UP), _MOST_WARM_UP))


def score_series(times_us: Sequence[int], values: Sequence[float | None]) -> list[float]:
    """Scores of a whole series, in order of time. None: no value, score 0.

    Raises IntervalError.
    """
    scorer = PlainScorer(interval_of(times_us))
    return [scorer.score(at, value) for at, value in zip(times_us, values, strict=True)]


class _Level:
    """One way to expect the next value: the mean of rows before, newer ones weighing more."""

    __slots__ = ("back", "before", "deviation", "error", "gain", "memory", "rows", "run", "sd", "until", "value")

    def __init__(self, gain: float, memory: int) -> None:
        self.gain, self.memory = gain, memory
        self.rows = 0
        self.value = self.deviation = self.sd = 0.0
        #: Mean absolute error over a week of days, by which levels compete: steps that one of them foresees count.
        self.error = 0.0
        #: Rows in a row beyond `_FAR` on one side.
        self.run: list[float] = []
        #: The level before the one adopted, known until so many rows; rows in a row that were back there.
        self.before: float | None = None
        self.until = self.back = 0

    def judge(self, target: float, breadth: float, floor: float) -> float:
        """How far `target` lies off, in standard deviations, with its sign."""
        prior = _PRIOR_NOISE * _PRIOR_ROWS * abs(self.value)
        sd = _SD * breadth * (self.deviation * self.rows + prior) / (self.rows + _PRIOR_ROWS)
        self.sd = sd = max(floor, sd)
        off = target - self.value
        if self.before is not None and abs(target - self.before) < _RETURN * abs(off):
            return (target - self.before) / sd
        return off / sd

    def learn(self, target: float, breadth: float) -> None:
        """After `judge` of the same row."""
        self.rows += 1
        rows, off, sd = self.rows, target - self.value, self.sd
        far = abs(off)
        if rows <= 5:
            self.value += off / rows
            if rows > 1:
                self.deviation += (far - self.deviation) / (rows - 1)
            return
        kept = min(_CLIP_NOISE * sd, far)
        self.deviation += (kept / breadth - self.deviation) / min(self.memory, rows)
        wrong = min(_CLIP_ERROR * sd, far)
        self.error += (wrong - self.error) / min(7 * self.memory, rows)
        gain = self.gain if self.gain * rows > 1 else 1 / rows
        clip = _CLIP * sd
        was = self.value
        self.value += gain * (off if far < clip else clip if off > 0 else -clip)
        if self.before is not None and self._is_back(target, was):
            return
        if far > _FAR * sd:
            self._stand_out(target)
        elif self.run:
            self.run.clear()

    def _is_back(self, target: float, was: float) -> bool:
        """Whether the row is at the former level, not at the one adopted since; two in a row, and that is back."""
        if self.before is None or self.rows > self.until or abs(target - self.before) >= _RETURN * abs(target - was):
            self.back = 0
            if self.rows > self.until:
                self.before = None
            return False
        self.back += 1
        if self.back == _BACK:
            self.value, self.before, self.back = self.before, None, 0
            self.run.clear()
        return True

    def _stand_out(self, target: float) -> None:
        if self.run and (self.run[-1] > self.value) != (target > self.value):
            self.run.clear()
        self.run.append(target)
        if len(self.run) == _ADOPT:
            self.before, self.until = self.value, self.rows + 2 * self.memory
            self.value, self.back = median(self.run), 0
            self.run.clear()


class PlainScorer:
    """Scores row after row, in order of time; the interval in seconds, season only up to an hour."""

    def __init__(self, interval_s: float) -> None:
        self._interval_us = interval_s * 1e6
        self.warm_up = warm_up_rows(interval_s)
        self._season = Season(interval_s) if interval_s <= 3600 else None
        gains = (*_GAINS, 1 / self.warm_up)
        self._plain = [_Level(gain, self.warm_up) for gain in gains]
        self._seasonal = [_Level(gain, self.warm_up) for gain in gains]
        #: Mean deviation by hour of the day, in standard deviations, and rows that taught it.
        self._breadth = [[0.0, 0.0] for _ in range(24)]
        self._breadth_prior = max(3 * 3600 / interval_s, 12.0)
        self._span: deque[float] = deque(maxlen=_SPAN)
        self._span_noise, self._span_rows = _SPAN_FLOOR, 0
        self._quiet, self._beyond = _QUIET, 0
        self._rows = 0
        self._last_us: int | None = None
        self._last: float | None = None
        self._step, self._is_count, self._largest = 0.0, True, 0.0

    def score(self, at_us: int, value: float | None) -> float:
        """Robust standard deviations, 0 to `MOST_SCORE`, that a row lies off what the rows before it let expect; 0 in
        the warm-up. `at_us` is not before the last row's; `value` is finite. None has score 0 and teaches nothing.
        """
        if value is None:
            return 0.0
        missing = 0 if self._last_us is None else round((at_us - self._last_us) / self._interval_us) - 1
        self._last_us = at_us
        # 1. What is usual at this hour, and how much it varies then.
        shape, breadth, slot = 0.0, 1.0, None
        if self._season is not None:
            shape = self._season.at(at_us)
            slot = self._breadth[at_us // 3_600_000_000 % 24]
            prior = self._breadth_prior
            breadth = min(max((_SD * slot[0] * slot[1] + prior) / (slot[1] + prior), 0.4), 4.0)
        # 2. Judge the row by each level, and by the one that has been off least.
        levels, target = self._plain, value
        floor = self._floor()
        offs = [one.judge(value, breadth, floor) for one in self._plain]
        best = min(range(len(offs)), key=lambda at: self._plain[at].error)
        off, chosen, slow = offs[best], self._plain[best], offs[-1]
        seasonal = self._season is not None and self._season.is_known
        if seasonal:
            again = [one.judge(value - shape, breadth, floor) for one in self._seasonal]
            if self._seasonal[0].rows >= self.warm_up:
                levels = self._seasonal
                best = min(range(len(again)), key=lambda at: levels[at].error)
                if levels[best].error < chosen.error:
                    off, chosen, target = again[best], levels[best], value - shape
                if levels[-1].error < self._plain[-1].error:
                    slow = again[-1]
                offs += again
        if missing >= _GAP:
            # No level is up to date: whichever explains the row is believed.
            off = min(offs, key=abs)
            self._span.clear()
        # 3. Weak evidence adds up over some rows; then the bar of quiet times.
        raw = max(abs(off), self._spanned(slow))
        score = raw * min(1.0, _QUIET / self._quiet)
        self._note_tail(raw)
        # 4. Learn, what stands out clipped.
        self._notice(value)
        if self._season is not None and slot is not None:
            clip = _CLIP * chosen.sd
            usual = value - target + chosen.value
            kept = min(max(value, usual - clip), usual + clip) if self._rows > _PRIOR_ROWS else value
            # What a level adopts is its usual, so a shift that lasts reaches the shape too.
            self._season.learn(kept)
            slot[1] = min(slot[1] + 1, 40 * self._breadth_prior)
            slot[0] += (min(abs(off), _CLIP_NOISE) * breadth - slot[0]) / slot[1]
        for one in self._plain:
            one.learn(value, breadth)
        if seasonal:
            for one in self._seasonal:
                one.learn(value - shape, breadth)
        self._rows += 1
        return min(score, MOST_SCORE) if self._rows > self.warm_up else 0.0

    def _floor(self) -> float:
        """The least standard deviation: half of the smallest step seen; of small whole numbers, that of counts."""
        least = max(self._step / 2, 1e-6 * self._largest, 1e-12)
        if self._is_count:
            level = max(self._plain[-1].value, 0.0)
            if level < _COUNTS:
                least = max(least, sqrt(level + 0.25))
        return least

    def _notice(self, value: float) -> None:
        if self._is_count and (value < 0 or value != int(value)):
            self._is_count = False
        if self._last is not None and value != self._last:
            step = abs(value - self._last)
            self._step = step if self._step == 0 else min(self._step, step)
        self._largest = max(self._largest, abs(value))
        self._last = value

    def _spanned(self, off: float) -> float:
        """Evidence of the last rows together, each clipped, so that one alone is none."""
        self._span.append(min(max(off, -_CLIP), _CLIP))
        if len(self._span) < _SPAN:
            return 0.0
        mean = abs(sum(self._span)) / _SPAN
        off = mean / (_SD * max(self._span_noise, _SPAN_FLOOR))
        self._span_rows += 1
        self._span_noise += (min(mean, _CLIP_NOISE * self._span_noise) - self._span_noise) / min(
            self._span_rows + _PRIOR_ROWS, self.warm_up
        )
        return off

    def _note_tail(self, raw: float) -> None:
        """The quantile of quiet times, in steps of its logarithm; a long run counts as few rows."""
        if raw > self._quiet:
            self._beyond += 1
            if self._beyond <= _TAIL_RUN:
                self._quiet = min(self._quiet * exp(_TAIL_STEP * (1 - _TAIL)), MOST_SCORE)
        else:
            self._beyond = 0
            self._quiet = max(self._quiet * exp(-_TAIL_STEP * _TAIL), _QUIET / 2)
