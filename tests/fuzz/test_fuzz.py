"""A short run of the fuzzer, and the fuzzer's own promises: it repeats itself, and it sees a decoder die."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.mutations import BINARY, JSON, LARGE, spoil
from tests.fuzz.run import run_fuzz
from tests.fuzz.target import Target
from tests.fuzz.targets import SCHEDULE, call_inputs, targets
from tests.fuzz.worker import attempt

SEED = 3


def test_every_decoder_survives_a_short_run() -> None:
    """The long one is `make fuzz`."""
    known = targets()
    for call, name in enumerate(dict.fromkeys(SCHEDULE)):
        inputs = call_inputs(SEED, call, known[name])
        outcomes, finding = attempt(known[name], inputs)
        assert finding is None, f"python -m tests.fuzz --seed {SEED} --call {call} --target '{name}': {finding}"
        assert sum(outcomes.values()) > 0


def test_a_seed_repeats_itself() -> None:
    target = targets()["usage_event"]
    assert call_inputs(SEED, 9, target) == call_inputs(SEED, 9, target)
    assert call_inputs(SEED, 9, target) != call_inputs(SEED + 1, 9, target)


@pytest.mark.parametrize(
    ("trap", "words"),
    [("raises", "Surprise: sprung"), ("aborts", "SIGABRT"), ("segfaults", "SIGSEGV"), ("hangs", "not done after")],
)
def test_what_kills_a_decoder_is_named_and_the_run_goes_on(trap: str, words: str) -> None:
    """One lane, so that what comes behind the death is done by a new worker."""
    name = f"trap: {trap}"
    run = run_fuzz(_seed_that_springs(targets(name)[name]), range(6), 1, name, deadline_s=3.0)
    assert len(run.findings) == 1
    assert all(words in one.what for one in run.findings)
    if trap == "aborts":
        [piece] = [one.inputs for one in run.findings]
        assert piece is not None
        assert piece[1] - piece[0] == 1
    # What stood before the death was not told yet; what came behind it was.
    assert run.outcomes[name]["fine"] >= 8


def _seed_that_springs(target: Target) -> int:
    """A seed by which exactly one of six calls holds exactly one input that springs a trap, and not the last one."""
    for seed in range(10_000):
        springs = [
            sum(one.value is not None and one.value[0] < 8 for one in call_inputs(seed, call, target))
            for call in range(6)
        ]
        if sum(springs) == 1 and not springs[5]:
            return seed
    raise AssertionError("no such seed")


@pytest.mark.parametrize("mutation", [*BINARY, *JSON, *LARGE], ids=lambda mutation: mutation.__name__)
def test_a_mutation_takes_any_bytes(mutation: object) -> None:
    assert callable(mutation)
    rnd = random.Random(1)
    for value in (b"", b"{", b'{"a":1}', rnd.randbytes(40)):
        assert isinstance(mutation(rnd, value), bytes)
    assert isinstance(spoil(rnd, b"", BINARY), bytes)
