"""`python -m tests.crash`: the whole crash matrix on an Apache Kafka of its own. Exit 0 only when nothing differs."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.crash.findings import Findings
from tests.crash.groups import Dice, groups
from tests.crash.matrix import Result, compared_again, run_group
from tests.crash.stage import Stage
from tests.crash.table import plain, table_of
from tests.support.kafka import ApacheKafka

#: Faults of a full run, about: `--faults` is held against it.
FULL = 220
RATE = 250.0


class _Progress:
    """What is going on, line by line on standard error."""

    def print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def main() -> int:
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    seed = options.seed if options.seed is not None else int(time.time())
    names = [group.name for group in groups(own_kafka=True)]
    unknown = sorted(set(options.only) - set(names))
    if unknown:
        sys.exit(f"no such group: {', '.join(unknown)}; there are {', '.join(names)}")
    out = _Progress()
    out.print(f"seed {seed} (python -m tests.crash --seed {seed} replays input and faults)")
    folder = Path(tempfile.mkdtemp(prefix="streamgauge-crash-"))
    share = min(1.0, options.faults / FULL)
    results: list[Result] = []
    began = time.monotonic()
    with ApacheKafka() as kafka, Stage(kafka.bootstrap, kafka, folder, "crash.", seed, options.rate) as stage:
        try:
            for group in groups(own_kafka=True):
                if options.only and group.name not in options.only:
                    continue
                out.print(f"[{time.monotonic() - began:5.0f} s] {group.name}: {group.says}")
                result = run_group(
                    stage, group, Dice(seed, group.name, share), lambda line: out.print(f"          {line}")
                )
                results.append(result)
                _tell(out, result)
            last = compared_again(stage)
        except KeyboardInterrupt:
            out.print("interrupted: the table has the groups that were judged")
            last = Findings(wrong=["interrupted"])
    clean = last.clean and all(result.clean for result in results)
    if options.json:
        print(json.dumps({"seed": seed, "clean": clean, "groups": plain(results)}, indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else 150).print(table_of(results))
    if not last.clean:
        out.print(f"after all of it, row by row:\n{last.text()}")
    faults = sum(sum(result.faults.values()) for result in results)
    out.print(
        f"{faults} faults in {time.monotonic() - began:.0f} s, seed {seed}: {'nothing differs' if clean else 'FAILED'}"
    )
    if clean and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        out.print(f"logs and ClickHouse's data are kept in {folder}")
    return 0 if clean else 1


def _tell(out: _Progress, result: Result) -> None:
    out.print(
        f"          {result.events:,} events, {result.seconds:.0f} s: {'all equal' if result.clean else 'DIFFERS'}"
    )
    if not result.findings.clean:
        out.print(result.findings.text())
    for failure in result.failures:
        out.print(f"not as it must be: {failure}")
    if result.residual:
        out.print(f"reconcile: {result.residual_text}")
    for one in result.ended:
        last = one.log.strip().splitlines()[-1:] or [""]
        out.print(f"          {one.worker} ended by itself with code {one.code}: {last[0][-300:]}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--seed", type=int, help="replays the input and the faults of a run; by default from the clock")
    parser.add_argument("--faults", type=int, default=FULL, help=f"about how many faults; {FULL} is a full run")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this group alone; may be repeated")
    parser.add_argument("--rate", type=float, default=RATE, help="messages a second")
    parser.add_argument("--json", action="store_true", help="results as JSON on standard output")
    parser.add_argument("--keep", action="store_true", help="keep logs and data of a run without differences too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
