"""In: expected calls and their shape by stretch of time. Out: rows of sums, drawn at random: calls are counted, their
tokens have heavy tails.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

#: Model classes, their provider, and nano-USD per fresh input token and per output token.
CLASSES: Final = ("nano", "small", "standard", "frontier", "reasoning")
PROVIDER: Final = np.array([0, 1, 0, 0, 1])
INPUT_PRICE: Final = np.array([100.0, 400.0, 3_000.0, 5_000.0, 12_000.0])
OUTPUT_PRICE: Final = np.array([400.0, 1_600.0, 15_000.0, 25_000.0, 48_000.0])
#: Of a fresh input token: one read from the cache, one written to it; and tokens written per token read.
READ: Final = 0.1
WRITE: Final = 1.25
WRITTEN: Final = 0.06

#: Columns of sums.
CALLS, ERRORS, INPUT, CACHE_READ, CACHE_WRITE, OUTPUT, COST = range(7)


@dataclass(slots=True)
class Stretches:
    """Consecutive stretches of time of one use case: columns of n. `calls` are expected in the stretch, `classes`[n, 5]
    how they split; `free_errors` fail and cost nothing, `billed_errors` fail and are paid for.
    """

    minute: np.ndarray
    length: np.ndarray
    calls: np.ndarray
    input: np.ndarray
    output: np.ndarray
    cached: np.ndarray
    classes: np.ndarray
    free_errors: np.ndarray
    billed_errors: np.ndarray
    spread: float

    def pick(self, which: np.ndarray) -> Stretches:
        """Copies of some of them."""
        return replace(
            self,
            **{
                name: getattr(self, name)[which].copy()
                for name in (
                    "minute",
                    "length",
                    "calls",
                    "input",
                    "output",
                    "cached",
                    "classes",
                    "free_errors",
                    "billed_errors",
                )
            },
        )

    def by_minute(self) -> Stretches:
        """The same, each cut into its minutes."""
        each = np.repeat(np.arange(len(self.minute)), self.length)
        found = self.pick(each)
        first = np.concatenate([[0], np.cumsum(self.length)[:-1]])
        found.minute += np.arange(len(each)) - first[each]
        found.calls /= self.length[each]
        found.length[:] = 1
        return found


@dataclass(frozen=True, slots=True)
class Rows:
    """minute[n], class[n], sums[n, 7]; money in nano-USD."""

    minute: np.ndarray
    model_class: np.ndarray
    sums: np.ndarray

    def pick(self, which: np.ndarray) -> Rows:
        return Rows(self.minute[which], self.model_class[which], self.sums[which])


@dataclass(frozen=True, slots=True)
class Prices:
    """What a class costs in times of its list price, from a minute on: changes of providers. (class, minute, times)."""

    changes: tuple[tuple[int, int, float], ...]

    def times(self, model_class: np.ndarray, minute: np.ndarray) -> np.ndarray:
        found = np.ones(len(minute))
        for changed, since, times in self.changes:
            found = np.where((model_class == changed) & (minute >= since), times, found)
        return found


def cost_per_call(input_: np.ndarray, output: np.ndarray, cached: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Expected USD[n] at list prices."""
    weight = 1 - cached * (1 + WRITTEN) + cached * READ + cached * WRITTEN * WRITE
    found: np.ndarray = (input_ * weight * (classes @ INPUT_PRICE) + output * (classes @ OUTPUT_PRICE)) / 1e9
    return found


def draw(given: Stretches, prices: Prices, random: np.random.Generator, *, scatter: bool = True) -> Rows:
    """Rows of all stretches that had calls. `scatter`: at a random minute of the stretch."""
    return draw_whose(given, prices, random, scatter=scatter)[1]


def draw_whose(
    given: Stretches, prices: Prices, random: np.random.Generator, *, scatter: bool
) -> tuple[np.ndarray, Rows]:
    """The same, and the number of the stretch that each row is of."""
    used = np.flatnonzero(given.classes.any(axis=0))
    counts = random.poisson(np.maximum(given.calls, 0)[:, None] * given.classes[:, used])
    at, column = np.nonzero(counts)
    model_class = used[column]
    calls = counts[at, column]
    free = random.binomial(calls, np.clip(given.free_errors[at], 0, 1))
    paid = calls - free
    errors = free + random.binomial(paid, np.clip(given.billed_errors[at], 0, 1))
    shape = 1 / given.spread**2
    many = np.maximum(paid, 1e-9) * shape
    input_ = np.where(paid > 0, random.gamma(many, given.input[at] / shape), 0).astype(np.int64)
    output = np.where(paid > 0, random.gamma(many, given.output[at] / shape), 0).astype(np.int64)
    wobble = random.normal(0, 0.2, len(at)) / np.sqrt(paid + 1)
    share = np.where(given.cached[at] > 0, np.clip(given.cached[at] + wobble, 0, 0.93), 0)
    read = (input_ * share).astype(np.int64)
    write = (read * WRITTEN).astype(np.int64)
    fresh = input_ - read - write
    minute = given.minute[at] + (random.integers(0, 5, len(at)) % given.length[at] if scatter else 0)
    price = INPUT_PRICE[model_class] * prices.times(model_class, minute)
    paid_out = OUTPUT_PRICE[model_class] * prices.times(model_class, minute)
    cost = np.rint((fresh + read * READ + write * WRITE) * price + output * paid_out).astype(np.int64)
    sums = np.stack([calls, errors, input_, read, write, output, cost], axis=1).astype(np.int64)
    return at, Rows(minute, model_class, sums)
