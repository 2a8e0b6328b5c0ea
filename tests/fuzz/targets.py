"""In: nothing. Out: every decoder under test, and how the calls of a run are shared out among them."""

from __future__ import annotations

import ctypes
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from tests.fuzz.events import DecoderTarget, OutcomeTarget, PipelineTarget, RegistryTarget
from tests.fuzz.internal import (
    ControlTarget,
    FingerprintTarget,
    HeaderTarget,
    RecordsTarget,
    StateTarget,
    arrow_targets,
)
from tests.fuzz.target import Input, Surprise, Target

#: One call after the other goes to these, over and over: what strangers write comes most often.
SCHEDULE: Final = (
    "usage_event", "blocks in the sink", "usage_event", "enrich", "control documents", "usage_event",
    "tallies in the agents", "outcome_event", "usage_event", "headers", "outcomes in the sink", "enrich",
    "usage_event", "records in the sink", "checkpoints", "usage_event", "adjusted events", "fingerprints",
    "usage_event", "schemas of a registry",
)  # fmt: skip


class Trap:
    """A decoder that fails as decoders may: for the tests of the fuzzer itself."""

    def __init__(self, name: str, spring: Callable[[], None]) -> None:
        self.name = name
        self._spring = spring

    def inputs(self, rnd: random.Random) -> list[Input]:
        return [Input("trap", rnd.randbytes(2)) for _ in range(8)]

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        for one in inputs:
            if one.value is not None and one.value[0] < 8:
                self._spring()
        return Counter(fine=len(inputs))


def _raise() -> None:
    raise Surprise("sprung")


def _segfault() -> None:
    ctypes.string_at(0)


_TRAPS: Final[dict[str, Callable[[], None]]] = {
    "trap: raises": _raise,
    "trap: aborts": os.abort,
    "trap: segfaults": _segfault,
    "trap: hangs": lambda: time.sleep(3_600),
}


def targets(only: str | None = None) -> dict[str, Target]:
    """Those of the schedule by name; or the one asked for, which may be a trap."""
    if only in _TRAPS:
        return {only: Trap(only, _TRAPS[only])}
    found: list[Target] = [
        DecoderTarget("usage_event"),
        DecoderTarget("outcome_event"),
        PipelineTarget(),
        OutcomeTarget(),
        RegistryTarget(),
        *arrow_targets(),
        HeaderTarget(),
        ControlTarget(),
        RecordsTarget(),
        StateTarget(),
        FingerprintTarget(),
    ]
    return {one.name: one for one in found}


def call_inputs(seed: int, call: int, target: Target) -> list[Input]:
    """The same on every machine."""
    return target.inputs(random.Random(f"{seed}/{call}/{target.name}"))


def name_of(call: int, only: str | None) -> str:
    return only or SCHEDULE[call % len(SCHEDULE)]
