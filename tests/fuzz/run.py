"""In: a seed and calls. Out: what the workers found, their deaths and hangs included."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.fuzz.targets import call_inputs, name_of, targets
from tests.fuzz.worker import PROGRESS

_ROOT: Final = Path(__file__).resolve().parents[2]
#: Calls of one worker process, of which a new one is then started: what a decoder leaks does not add up.
_CALLS_OF_ONE: Final = 1_000
#: On a machine that does much else, the imports alone take minutes.
_START_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One call in which a decoder did what it may not. `inputs`: of a death, the least piece of the call that dies."""

    call: int
    target: str
    what: str
    inputs: tuple[int, int] | None = None

    @property
    def kind(self) -> tuple[str, str]:
        """Findings of one kind have the same decoder and error, whatever value it names."""
        return self.target, self.what.split(":", 1)[0] + self.what.rsplit("(", 1)[-1]


@dataclass(slots=True)
class Run:
    """What came of it all."""

    seed: int
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    forms: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    peak_bytes: int = 0
    longest_s: float = 0.0
    longest_call: int = -1

    def inputs_of(self, name: str) -> int:
        return sum(count for form, count in self.forms.items() if form.startswith(f"{name}: "))

    def kinds(self) -> list[tuple[Finding, int]]:
        """The first finding of each kind, and how often it came."""
        first: dict[tuple[str, str], Finding] = {}
        times: Counter[tuple[str, str]] = Counter()
        for one in self.findings:
            first.setdefault(one.kind, one)
            times[one.kind] += 1
        return [(one, times[kind]) for kind, one in first.items()]

    def report(self, seconds: float) -> dict[str, Any]:
        totals: Counter[str] = Counter()
        for outcomes in self.outcomes.values():
            totals.update(outcomes)
        return {
            "seed": self.seed,
            "inputs": sum(self.forms.values()),
            "seconds": seconds,
            "peak_rss_mib": round(self.peak_bytes / 2**20),
            "slowest_call_s": round(self.longest_s, 2),
            "slowest_call": self.longest_call,
            "inputs_by_form": dict(sorted(self.forms.items())),
            "outcomes": dict(totals.most_common()),
            "outcomes_by_target": {name: dict(counts.most_common()) for name, counts in self.outcomes.items()},
            "findings": [
                asdict(one) | {"times": times, "replay": replay(self.seed, one)} for one, times in self.kinds()
            ],
        }


def _pieces(finding: Finding) -> str:
    return "" if finding.inputs is None else f" (inputs {finding.inputs[0]} to {finding.inputs[1]} of the call)"


def replay(seed: int, finding: Finding) -> str:
    return f"python -m tests.fuzz --seed {seed} --call {finding.call} --target '{finding.target}'"


def run_fuzz(
    seed: int,
    calls: range,
    workers: int,
    target: str | None = None,
    deadline_s: float = 60.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Run:
    """Do the calls, shared out among workers. `tell` hears of each finding when it comes."""
    run, lock = Run(seed), threading.Lock()
    threads = [
        threading.Thread(target=_Lane(run, lock, calls[first::workers], target, deadline_s, tell).go)
        for first in range(min(workers, len(calls)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.findings.sort(key=lambda one: one.call)
    return run


class _Lane:
    """One worker at a time, and the next one behind the call that the last one died of."""

    def __init__(
        self,
        run: Run,
        lock: threading.Lock,
        calls: range,
        target: str | None,
        deadline_s: float,
        tell: Callable[[str], None],
    ) -> None:
        self._run, self._lock, self._calls, self._target = run, lock, calls, target
        self._deadline_s, self._tell = deadline_s, tell

    def go(self) -> None:
        at = 0
        while at < len(self._calls):
            piece = self._calls[at : at + _CALLS_OF_ONE]
            died_of, how = self._work(piece)
            if died_of is None:
                at += len(piece)
                continue
            at = self._calls.index(died_of) + 1
            self._note(Finding(died_of, name_of(died_of, self._target), how, self._guilty(died_of)))

    def _work(self, calls: range, only: tuple[int, int] | None = None) -> tuple[int | None, str]:
        """The call that a worker died of, if it did, and how. What it told before is taken."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(PROGRESS.pack(-1, 0.0))
            file.flush()
            command = [
                sys.executable,
                "-m",
                "tests.fuzz.worker",
                "--seed",
                str(self._run.seed),
                "--progress",
                file.name,
            ]
            command += ["--first", str(calls.start), "--end", str(calls.stop), "--step", str(calls.step)]
            command += ["--target", self._target] if self._target is not None else []
            command += ["--inputs", *map(str, only)] if only is not None else []
            with subprocess.Popen(
                command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process:
                errors: list[str] = []
                readers = [
                    threading.Thread(target=self._take, args=(process, only is None)),
                    threading.Thread(
                        target=lambda: errors.append((process.stderr.read() if process.stderr else "")[-600:])
                    ),
                ]
                for reader in readers:
                    reader.start()
                hung = self._watch(process, Path(file.name))
                for reader in readers:
                    reader.join()
            call, _ = PROGRESS.unpack(Path(file.name).read_bytes())
        if process.returncode == 0:
            return None, ""
        if call < 0:
            raise RuntimeError(f"a worker did not start: {''.join(errors)}")
        if hung:
            return call, f"hangs: not done after {self._deadline_s:.0f} s"
        end = process.returncode
        how = signal.Signals(-end).name if end < 0 else f"exit code {end}"
        return call, f"the process died of {how}: {''.join(errors)[-300:]}"

    def _take(self, process: subprocess.Popen[str], take: bool) -> None:
        assert process.stdout is not None
        for text in process.stdout:
            line = json.loads(text)
            if not take:
                continue
            if "finding" in line:
                self._note(Finding(line["call"], line["target"], line["finding"]))
                continue
            with self._lock:
                for name, counts in line["outcomes"].items():
                    self._run.outcomes.setdefault(name, Counter()).update(counts)
                self._run.forms.update(line["forms"])
                self._run.peak_bytes = max(self._run.peak_bytes, line["peak_bytes"])
                if line["longest_s"] > self._run.longest_s:
                    self._run.longest_s, self._run.longest_call = line["longest_s"], line["longest_call"]

    def _watch(self, process: subprocess.Popen[str], progress: Path) -> bool:
        """Wait for the end; whether it had to be made because one call took too long."""
        seen, since, limit = -1, time.monotonic(), _START_S
        while True:
            try:
                process.wait(timeout=0.5)
                return False
            except subprocess.TimeoutExpired:
                call, _ = PROGRESS.unpack(progress.read_bytes())
            if call != seen:
                seen, since, limit = call, time.monotonic(), self._deadline_s
            elif time.monotonic() - since > limit:
                process.kill()
                process.wait()
                return True

    def _guilty(self, call: int) -> tuple[int, int] | None:
        """The inputs of a call that end a worker by themselves, halved until it takes all of them; mostly it is one."""
        name = name_of(call, self._target)
        inputs = call_inputs(self._run.seed, call, targets(name)[name])
        piece: tuple[int, int] | None = (0, len(inputs))
        found = None
        while piece is not None and piece[1] - piece[0] > 1:
            middle = (piece[0] + piece[1]) // 2
            halves = ((piece[0], middle), (middle, piece[1]))
            piece = next((half for half in halves if self._work(range(call, call + 1), half)[0] is not None), None)
            found = piece or found
        return found

    def _note(self, finding: Finding) -> None:
        with self._lock:
            known = any(one.kind == finding.kind for one in self._run.findings)
            self._run.findings.append(finding)
        if known:
            return
        self._tell(f"{finding.target}: {finding.what}{_pieces(finding)}\n  {replay(self._run.seed, finding)}")
