"""In: a seed and a range of calls, as arguments. Out: a JSON line for each finding and one for the whole, on standard
output; and the number of the call under way in a shared file, so that whoever started this knows what it died of.
"""

from __future__ import annotations

import argparse
import json
import mmap
import resource
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from tests.fuzz.target import Input, Target
from tests.fuzz.targets import call_inputs, name_of, targets

#: Address space of a worker: a declared length of terabytes fails here instead of taking the machine down.
MEMORY_BYTES: Final = 12 << 30
#: Calls after which a worker tells what it saw.
_TOLD_AFTER: Final = 100
PROGRESS: Final = struct.Struct("<qd")


def attempt(target: Target, inputs: Sequence[Input]) -> tuple[Counter[str], str | None]:
    """Outcomes, or what went wrong. A Rust panic is no Exception, and is a finding as well."""
    try:
        return target.check(inputs), None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic must not end the run
        places = [
            f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        return Counter(), f"{type(error).__name__}: {str(error)[:300]} ({' > '.join(places[-4:])})"


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class _Tally:
    """What was seen since it was last told: a worker that dies takes little of it along."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._outcomes: dict[str, Counter[str]] = {}
        self._forms: Counter[str] = Counter()
        self._calls, self._longest_s, self._longest_call = 0, 0.0, -1

    def add(self, call: int, name: str, told: Counter[str], inputs: Sequence[Input], took: float) -> None:
        self._outcomes.setdefault(name, Counter()).update(told)
        self._forms.update(f"{name}: {one.form}" for one in inputs if one.good is None)
        if took > self._longest_s:
            self._longest_s, self._longest_call = took, call
        self._calls += 1
        if self._calls == _TOLD_AFTER:
            self.tell()

    def tell(self) -> None:
        _tell(
            {
                "outcomes": self._outcomes,
                "forms": self._forms,
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "longest_s": self._longest_s,
                "longest_call": self._longest_call,
            }
        )
        self._clear()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--end", type=int, required=True)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--inputs", type=int, nargs=2, help="only those from one place to another of a single call's")
    parser.add_argument("--target")
    parser.add_argument("--progress", type=Path, required=True)
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    known = targets(asked.target)
    tally = _Tally()
    with asked.progress.open("r+b") as file, mmap.mmap(file.fileno(), PROGRESS.size) as progress:
        for call in range(asked.first, asked.end, asked.step):
            target = known[name_of(call, asked.target)]
            inputs = call_inputs(asked.seed, call, target)
            if asked.inputs is not None:
                inputs = inputs[slice(*asked.inputs)]
            begun = time.monotonic()
            PROGRESS.pack_into(progress, 0, call, begun)
            told, finding = attempt(target, inputs)
            took = time.monotonic() - begun
            if finding is not None:
                _tell({"finding": finding, "call": call, "target": target.name})
            tally.add(call, target.name, told, inputs, took)
        # Nothing is under way any more.
        PROGRESS.pack_into(progress, 0, asked.end, time.monotonic())
    tally.tell()
    return 0


if __name__ == "__main__":
    sys.exit(main())
