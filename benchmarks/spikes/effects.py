"""In: what goes wrong and by how much. Out: the stretches of time as they are while it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.spikes.traffic import Stretches, cost_per_call

#: Kinds that change what a use case does by itself; the others add calls of their own.
CHANGES: Final = (
    "prompt_bloat",
    "context_resent",
    "retry_storm",
    "model_switch",
    "cache_collapse",
    "output_growth",
    "level_shift",
)
#: No cause multiplies beyond this: prompts have a longest length, clients a most of retries.
_MOST: Final = {"prompt_bloat": 25.0, "context_resent": 40.0, "output_growth": 14.0, "retry_storm": 18.0}


@dataclass(frozen=True, slots=True)
class Effect:
    """A change of a use case within [begins, end) minutes. `amount`: times for lengths and calls, else the share that
    moves; it grows over the first `ramp` minutes. `to`: the class that takes over.
    """

    kind: str
    begins: int
    end: int
    amount: float
    ramp: int = 0
    to: int = 0

    def apply(self, given: Stretches) -> None:
        """Change the stretches that lie within, in place."""
        at = np.flatnonzero((given.minute >= self.begins) & (given.minute < self.end))
        if not len(at):
            return
        grown = np.clip((given.minute[at] - self.begins + given.length[at] / 2) / max(self.ramp, 1), 0, 1)
        amount = 1 + (self.amount - 1) * grown if self.kind in _TIMES else self.amount * grown
        if self.kind in ("prompt_bloat", "context_resent"):
            given.input[at] *= amount
        elif self.kind == "output_growth":
            given.output[at] *= amount
        elif self.kind in ("retry_storm", "catch_up", "level_shift"):
            given.calls[at] *= amount
        elif self.kind == "cache_collapse":
            given.cached[at] *= 1 - amount
        elif self.kind in ("model_switch", "migration"):
            given.classes[at] *= (1 - amount)[:, None]
            given.classes[at, self.to] += amount
        elif self.kind == "vanish":
            given.calls[at] *= 1 - amount
        elif self.kind == "fail":
            given.free_errors[at] = amount
        if self.kind == "retry_storm":
            given.billed_errors[at] = 0.9 * (1 - 1 / np.maximum(amount, 1))


_TIMES: Final = ("prompt_bloat", "context_resent", "output_growth", "retry_storm", "catch_up", "level_shift")


def sized(kind: str, given: Stretches, excess: float, random: np.random.Generator) -> tuple[float, int] | None:
    """(amount, class) with which a change costs `excess` times what the given stretches cost more; None where the kind
    cannot.
    """
    weight = given.calls / max(given.calls.sum(), 1e-12)
    input_, output, cached = (float((part * weight).sum()) for part in (given.input, given.output, given.cached))
    classes = (given.classes * weight[:, None]).sum(axis=0)
    one = _cost(input_, output, cached, classes)
    if kind in ("retry_storm", "level_shift"):
        return (1 + excess, 0) if 1 + excess <= _MOST["retry_storm"] else None
    if kind in ("prompt_bloat", "context_resent", "output_growth"):
        without = _cost(0, output, 0, classes) if kind != "output_growth" else _cost(input_, 0, cached, classes)
        times = 1 + excess / max(1 - without / one, 1e-9)
        return (times, 0) if times <= _MOST[kind] else None
    if kind == "cache_collapse":
        most = _cost(input_, output, 0, classes) / one - 1
        return (max(excess / most, 0.5), 0) if most > 0 and excess <= most else None
    dearer = [
        (to, _cost(input_, output, cached, np.eye(5)[to]) / one - 1) for to in range(int(classes.argmax()) + 1, 5)
    ]
    able = [(to, max(excess / gain, 0.3)) for to, gain in dearer if gain > 0 and 0.1 < excess / gain <= 1]
    if not able:
        return None
    to, share = able[int(random.integers(len(able)))]
    return share, to


def _cost(input_: float, output: float, cached: float, classes: np.ndarray) -> float:
    return float(cost_per_call(np.array([input_]), np.array([output]), np.array([cached]), classes[None])[0])


def extra(
    like: Stretches, begins: int, end: int, usd_per_hour: float, random: np.random.Generator, spread: float
) -> Stretches:
    """Calls of somebody else, minute by minute, of about the shape that `like` has, at about so many USD an hour."""
    n = end - begins
    weight = like.calls / max(like.calls.sum(), 1e-12)
    main = int((like.classes * weight[:, None]).sum(axis=0).argmax())
    cached = float((like.cached * weight).sum())
    found = Stretches(
        minute=np.arange(begins, end, dtype=np.int64),
        length=np.ones(n, dtype=np.int64),
        calls=np.exp(random.normal(0, 0.15, n)),
        input=np.full(n, float((like.input * weight).sum()) * random.lognormal(0, spread)),
        output=np.full(n, float((like.output * weight).sum()) * random.lognormal(0, spread)),
        cached=np.full(n, cached),
        classes=np.repeat(np.eye(5)[main][None], n, axis=0),
        free_errors=np.full(n, 0.01),
        billed_errors=np.full(n, 0.004),
        spread=0.5,
    )
    each = cost_per_call(found.input[:1], found.output[:1], found.cached[:1], found.classes[:1])[0]
    found.calls *= usd_per_hour / 60 / max(each, 1e-12)
    return found
