"""In: nothing. Out: what every decoder under test has in common: how its inputs are made, and what it may answer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

#: Inputs handed over in one call, good neighbours included.
PER_CALL = 256


class Surprise(AssertionError):
    """A decoder answered what it may not: the event is neither enriched nor rejected, or a good neighbour is lost."""


@dataclass(frozen=True, slots=True)
class Input:
    """One value. `form` names what it was made from; `good`: the number of the good message that it is, unspoiled."""

    form: str
    value: bytes | None
    good: int | None = None


class Target(Protocol):
    """One decoder. Keeps no state between calls that would change an answer."""

    name: str

    def inputs(self, rnd: random.Random) -> list[Input]:
        """The inputs of one call, drawn from `rnd` alone."""
        ...

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        """Decode them. How many became what (spoiled inputs only); Surprise, or whatever the decoder lets out."""
        ...
