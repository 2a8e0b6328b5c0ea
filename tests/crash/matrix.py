"""In: a stage and groups of faults. Out: a result for each group: what was done, and every difference that was found.

For each group:

1. crowd: as many sound workers as it begins with;
2. the input begins, the programs of faults run side by side to their end;
3. crowd again, end the input, wait until what was sent has been acknowledged;
4. compare until nothing differs or patience is over: the pipeline is given time to catch up, never to forget;
5. reconcile.

Sums and alerts are of the whole run, so a double that comes late is found by the next group.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from clickhouse_connect.driver.exceptions import ClickHouseError

from tests.crash.findings import Findings, compare
from tests.crash.groups import Dice, Group
from tests.crash.stage import Stage, pause, until
from tests.crash.workers import Ended

#: How long the house may take to catch up with a group's input.
PATIENCE_S = 180.0
_AGAIN_S = 1.0
_LEAST_S = 10.0


@dataclass(frozen=True, slots=True)
class Result:
    """`residual` of reconcile, None where there is no such command. `ended`: who ended by itself."""

    group: Group
    faults: dict[str, int]
    events: int
    findings: Findings
    failures: tuple[str, ...]
    residual: int | None
    residual_text: str
    ended: tuple[Ended, ...]
    seconds: float

    @property
    def clean(self) -> bool:
        return self.findings.clean and not self.failures and not self.residual


def run_group(stage: Stage, group: Group, dice: Dice, say: Callable[[str], None]) -> Result:
    """One group, judged. The stage is left with sound workers that have read everything."""
    began, read = time.monotonic(), stage.oracle.read
    stage.faults.clear()
    stage.failures.clear()
    ended = {crew.role: len(crew.ended) for crew in stage.crews.values()}
    if group.workers:
        stage.crowd(group.workers)  # 1
    stage.feed.begin(group.name)  # 2
    stage.run([*group.programs(stage, dice), pause(_LEAST_S)])
    say(f"{sum(stage.faults.values())} faults in {time.monotonic() - began:.0f} s, comparing")
    stage.crowd(max(1, group.workers))  # 3
    stage.feed.end()
    stage.run([until(lambda: stage.feed.settled, 60, "Kafka to acknowledge the input")])
    findings = _compared(stage, group.name)  # 4
    residual, text = _reconciled(stage)  # 5
    return Result(
        group,
        dict(stage.faults),
        stage.oracle.read - read,
        findings,
        (*stage.failures, *stage.feed.surprises),
        residual,
        text,
        tuple(one for crew in stage.crews.values() for one in crew.ended[ended[crew.role] :]),
        time.monotonic() - began,
    )


def compared_again(stage: Stage) -> Findings:
    """Everything of the whole run, row by row."""
    return _compared(stage, None)


def _compared(stage: Stage, label: str | None) -> Findings:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        stage.run([pause(_AGAIN_S)])
        try:
            found = compare(stage.house, stage.oracle, stage.subscriber, stage.web_ports(), label)
        except (ClickHouseError, OSError) as error:
            found = Findings(wrong=[f"ClickHouse does not answer: {error}"])
        if found.clean or time.monotonic() > deadline:
            return found


def _reconciled(stage: Stage) -> tuple[int | None, str]:
    """The residual of `streamgauge reconcile`, and all that it says. None where this version has no such command.

    A run that could not judge is as bad as one that found something: the least residual of those is 1.
    """
    command = [sys.executable, "-m", "streamgauge"]
    environment = stage.house.environment()
    known = subprocess.run([*command, "--help"], env=environment, capture_output=True, text=True, check=False)
    if " reconcile " not in known.stdout:
        return None, ""
    done = subprocess.run(
        [*command, "reconcile", "--all", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr)[-20_000:]
    try:
        residual = int(json.loads(done.stdout)["residual"])
    except (ValueError, KeyError, TypeError):
        return 1, f"exit code {done.returncode}: {said}"
    return max(residual, int(done.returncode != 0)), said
