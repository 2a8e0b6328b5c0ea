"""In: simulated fleets and, where they are at hand, recorded traces. Out: how often P10 to P90 holds what came, and how
far P50 was off beside linear projection.

`python -m benchmarks.bench_forecast [--json] [--per-regime N] [--traces FOLDER]`. The model's figures (`model.TUNED`)
were fitted on the fleet of seed 1 from 3 February 2025; reported are other seeds and other months. Errors are relative
to what was used in the end, at the middle of the period; coverage is over looks at a quarter, half and three quarters.
Days count one in nine, so that they do not drown the rest.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.forecasts.fleet import fleet
from benchmarks.forecasts.trace import read_traces, replays
from benchmarks.forecasts.trial import KINDS, Trial, run

#: Never those that the model was tuned on.
_REPORTED: Final = ((date(2024, 6, 3), 11), (date(2025, 4, 7), 12), (date(2025, 9, 1), 13))
_MIDDLE: Final = 0.5


def main() -> int:
    options = _options()
    begun = time.perf_counter()
    trials = [run(start, fleet(start, seed, options.per_regime)) for start, seed in _REPORTED]
    simulated = Trial(**{one.name: np.concatenate([getattr(t, one.name) for t in trials]) for one in fields(Trial)})
    report = {"simulated": _tables(simulated)}
    if read_traces(options.traces):
        report["replayed"] = _tables(run(*replays(options.traces, 21, 8)))
    seconds = time.perf_counter() - begun
    if options.json:
        print(json.dumps({"seconds": round(seconds, 1), **report}, indent=2))
        return 0
    for name, table in report.items():
        print(f"\n{name}")
        print(f"  {'':34}{'looks':>7}{'P10-P90':>9}{'error':>8}{'linear':>8}{'less':>7}")
        for label, row in table.items():
            print(
                f"  {label:34}{row['looks']:7.0f}{row['coverage']:9.1%}{row['error']:8.2%}{row['linear']:8.2%}"
                f"{row['less']:7.0%}"
            )
    if "replayed" not in report:
        print(f"\nreplayed: left out, none of the traces is in {options.traces} (--traces FOLDER)")
    print(f"\n{seconds:.0f} s")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--per-regime", type=int, default=12, help="budgets of each regime and seed")
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument(
        "--traces", type=Path, default=shared, help="folder with the traces that benchmarks/forecasts/trace.py names"
    )
    return parser.parse_args()


def _tables(trial: Trial) -> dict[str, dict[str, float]]:
    """A row for each regime, period, period of a regime that is a month, and all."""
    picked: dict[str, np.ndarray] = {}
    for regime in dict.fromkeys(trial.regime.tolist()):
        picked[regime] = trial.regime == regime
    for kind in KINDS:
        picked[f"{kind}s"] = trial.kind == kind
    picked["all"] = np.ones(len(trial.kind), dtype=bool)
    return {name: _row(trial, which) for name, which in picked.items() if (which & (trial.actual > 0)).any()}


def _row(trial: Trial, which: np.ndarray) -> dict[str, float]:
    which = which & (trial.actual > 0)
    actual = trial.actual[which]
    held = (trial.p10[which] <= actual) & (actual <= trial.p90[which])
    middle = which & (trial.part == _MIDDLE)
    error, linear = (
        float(np.median(np.abs(told[middle] / trial.actual[middle] - 1))) for told in (trial.p50, trial.linear)
    )
    return {
        "looks": float(which.sum()),
        "coverage": float(held.mean()),
        "error": error,
        "linear": linear,
        "less": 1 - error / linear if linear else 0.0,
    }


if __name__ == "__main__":
    sys.exit(main())
