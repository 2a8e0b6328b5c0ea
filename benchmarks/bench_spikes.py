"""In: seeds of simulated fleets. Out: how well spikes are found and explained, beside LiteLLM's rule, a windowed
Gaussian and a detector of river. By default 200 teams over eight weeks, in two fleets.

`python -m benchmarks.bench_spikes [--seeds N ...] [--teams N] [--weeks N] [--json] [--training] [--misses]`. What is
found and what is false: benchmarks/spikes/score.py; what counts as an incident: benchmarks/spikes/labels.py. All four
were tuned on the fleets of the training seeds alone, the three others in this very run; `--training` shows ours on
those. The simulator and the detector know nothing of each other: ours is a real shard of the agents that is offered
tallies.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Final

from benchmarks.spikes import peers, rivers
from benchmarks.spikes.fleet import By, fleet
from benchmarks.spikes.ours import alerts_of, raised
from benchmarks.spikes.report import printed, report, spelled
from benchmarks.spikes.score import Outcome, judge

#: Never those that are reported.
TRAINING: Final = (1, 2, 3, 4)
_REPORTED: Final = (12, 13)
_BY: Final[tuple[By, ...]] = ("team", "use case")
#: Teams of each fleet that the others are tuned on.
_TRAINING_TEAMS: Final = 50


def main() -> int:
    options = _options()
    begun = time.perf_counter()
    if options.training:
        print(f"ours on the training seeds {options.seeds}", file=sys.stderr)
    outcomes: dict[str, Outcome] = {}
    notes: list[str] = []
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        own = [pool.submit(_ours, seed, options.teams, options.weeks) for seed in options.seeds]
        others = (
            []
            if options.training
            else [
                (name, pool.submit(_peer, name, tuple(options.seeds), options.teams, options.weeks))
                for name in _peers(notes)
            ]
        )
        outcomes["streamgauge"] = sum((job.result() for job in own), Outcome())
        print(f"ours: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        for name, job in others:
            outcomes[name], chosen = job.result()
            notes.append(f"{name}: {chosen}")
            print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    told = report(outcomes)
    seconds = time.perf_counter() - begun
    if options.json:
        print(json.dumps({"seconds": round(seconds, 1), **told, "notes": notes}, indent=2))
        return 0
    weeks = outcomes["streamgauge"].team_weeks
    print(
        f"{options.teams * len(options.seeds)} teams x {options.weeks} weeks: a fleet of {options.teams} for each of "
        f"the seeds {', '.join(map(str, options.seeds))}",
        end="",
    )
    print(f" ({weeks:.0f} team-weeks after a warm-up of 14 days)")
    print(printed(told))
    for note in notes:
        print(note)
    if options.misses:
        print(spelled(outcomes["streamgauge"]))
    print(f"\n{seconds:.0f} s")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=None, help="one fleet for each; default 12 13")
    parser.add_argument("--teams", type=int, default=100, help="teams of each fleet; default 100")
    parser.add_argument("--weeks", type=int, default=8, help="weeks of each fleet, two of warm-up among them")
    parser.add_argument("--training", action="store_true", help="ours alone, on the training seeds")
    parser.add_argument("--misses", action="store_true", help="name what ours missed and raised for nothing")
    parser.add_argument("--processes", type=int, default=2, choices=(1, 2))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.seeds = options.seeds or list(TRAINING if options.training else _REPORTED)
    if options.weeks < 4:
        parser.error(f"--weeks {options.weeks} leaves too little after two weeks of warm-up: give 4 or more")
    if options.teams < 1:
        parser.error(f"--teams {options.teams} is no fleet: give 1 or more")
    of_training = set(options.seeds) & set(TRAINING)
    if of_training and not options.training:
        parser.error(f"seeds {sorted(of_training)} are those of training: give others, or --training")
    if options.training and of_training != set(options.seeds):
        parser.error(f"--training goes with the seeds {list(TRAINING)} alone: the others are for the report")
    return options


def _peers(notes: list[str]) -> list[str]:
    names = ["LiteLLM's rule", "windowed Gaussian"]
    if find_spec("river") is None:
        notes.append("river: left out, it is not installed (pip install -r requirements-bench.lock)")
        return names
    return [*names, "river"]


def _ours(seed: int, teams: int, weeks: int) -> Outcome:
    made = fleet(seed, teams, weeks)
    begun = time.perf_counter()

    def progress(minute: int) -> None:
        print(f"seed {seed}: day {minute // 1_440}, {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)

    return judge(made, raised(alerts_of(made, progress)), announced=True)


def _peer(name: str, seeds: tuple[int, ...], teams: int, weeks: int) -> tuple[Outcome, str]:
    """Tune on the training seeds, judge on the others; what was chosen, in words. All but LiteLLM's rule, which is one
    by team, may choose between series of teams and of use cases.
    """
    training = [fleet(seed, min(teams, _TRAINING_TEAMS), weeks) for seed in TRAINING]
    candidates: list[tuple[str, By, peers.Raiser, peers.Tuned]] = []
    for by in _BY if name != "LiteLLM's rule" else _BY[:1]:
        given = [(made, made.series(by)) for made in training]
        for kind, raiser, grid in _raisers(name):
            candidates.append((kind, by, raiser, peers.tuned(raiser, grid, given)))
    kind, by, raiser, chosen = max(candidates, key=lambda one: one[3].f1)
    words = ", ".join(f"{key} {value:.16g}" for key, value in chosen.settings.items())
    outcome = Outcome()
    for seed in seeds:
        made = fleet(seed, teams, weeks)
        outcome += judge(made, raiser(made.series(by), chosen.settings), announced=False)
    return outcome, f"{kind}by {by}, {words} (F1 {chosen.f1:.3f} on the training seeds)"


def _raisers(name: str) -> Iterator[tuple[str, peers.Raiser, Iterable[peers.Settings]]]:
    """What is tried under that name: its words, itself, its grid."""
    if name == "LiteLLM's rule":
        yield "", peers.litellm, peers.litellm_grid()
    elif name == "windowed Gaussian":
        yield "", peers.Gaussian(), peers.gaussian_grid()
    else:
        for kind in rivers.DETECTORS:
            yield f"{kind}, ", rivers.River(kind), rivers.grid(kind)


if __name__ == "__main__":
    sys.exit(main())
