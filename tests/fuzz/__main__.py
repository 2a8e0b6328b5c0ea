"""In: a number of inputs and a seed. Out: a table (or JSON) of what every decoder made of them, and each finding with
the command that replays it. Exit code 1 when there was one.

Workers do the decoding, so that a segmentation fault, an abort or a hang of native code ends a worker and not the run:
the call it died of is known, its inputs are then tried one by one, and the run goes on behind it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

from tests.fuzz.run import Run, replay, run_fuzz
from tests.fuzz.target import PER_CALL
from tests.fuzz.targets import SCHEDULE


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, help="default: a random one, which is printed")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--target", choices=sorted(set(SCHEDULE)), help="only this decoder")
    parser.add_argument("--call", type=int, help="replay this one call")
    parser.add_argument("--deadline", type=float, default=60.0, help="seconds that one call may take")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, help="also write the JSON into this file")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if asked.seed is None else asked.seed
    print(f"seed {seed}", file=sys.stderr, flush=True)
    first, end = (asked.call, asked.call + 1) if asked.call is not None else (0, -(-asked.inputs // PER_CALL))
    begun = time.monotonic()
    run = run_fuzz(seed, range(first, end), asked.workers, asked.target, asked.deadline, tell=_tell)
    report = run.report(round(time.monotonic() - begun, 1))
    if asked.write is not None:
        asked.write.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if asked.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _show(run, report["seconds"])
    return 1 if run.findings else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(run: Run, seconds: float) -> None:
    for name in dict.fromkeys([*SCHEDULE, *run.outcomes]):
        outcomes = run.outcomes.get(name)
        if outcomes:
            told = ", ".join(f"{code} {count:,}" for code, count in outcomes.most_common())
            print(f"{name:24} {run.inputs_of(name):>10,} inputs   {told}")
    for finding, times in run.kinds():
        print(f"{times:,} times {finding.target}: {finding.what}\n  {replay(run.seed, finding)}")
    print(
        f"{sum(run.forms.values()):,} inputs in {seconds:,.0f} s, slowest call {run.longest_s:.1f} s, "
        f"largest worker {run.peak_bytes / 2**20:,.0f} MiB, seed {run.seed}, findings {len(run.findings)}"
    )


if __name__ == "__main__":
    sys.exit(main())
