"""What the agents hold in memory for each budget, by who holds it.

    python -m benchmarks.bench_budget_memory --teams 10000 --budgets 5

One process with every shard of an installation, as a single agents process has them: the control document as it was
read from its topic, and shards that have counted two hours of use of every team, told every status, and written a
checkpoint. Everything is measured twice, with budgets and without any, so that what teams cost by themselves is told
apart. Bytes are Python's own (`tracemalloc`, numpy included); `--resident` gives the growth of the process instead.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from schemas.control.base import Stage, moment_us
from schemas.control.budgets import Budget, Period, Scope, Unit
from schemas.control.parts import Parts
from schemas.control.records import ControlRecord, dump_record, parse_record, record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.tallies import home_partition
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Shard
from tests.streams.agents.samples import budget_row, cell, message

TALLY_PARTITIONS: Final = 16
GOAL_PER_BUDGET: Final = 512
_HOUR_US: Final = 3_600_000_000
_START_US: Final = moment_us(datetime(2026, 11, 10, 9, tzinfo=UTC))
#: What the budgets of one team are: the fifth and more of them repeat the first with another unit.
_KINDS: Final[tuple[tuple[Stage | None, Period, Unit], ...]] = (
    (None, "month", "usd"),
    (None, "day", "usd"),
    ("production", "month", "usd"),
    ("production", "week", "usd"),
    (None, "day", "calls"),
    ("exploratory", "month", "tokens"),
    ("exploratory", "day", "usd"),
    (None, "quarter", "usd"),
)


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes by holder: a room of ours, or all that the process grew by."""

    bytes: dict[str, int]

    @property
    def all(self) -> int:
        return sum(self.bytes.values())


def budgets_of(team: str, count: int, chance: random.Random) -> Iterator[Budget]:
    for number in range(count):
        stage, period, unit = _KINDS[number % len(_KINDS)]
        yield Budget(
            id=f"{team}-{number}-{period}",
            scope=Scope(team=team, stage=stage),
            limit=Decimal(chance.randrange(1, 200) * 100) if unit == "usd" else Decimal(10**9),
            period=period,
            unit=unit,
            time_zone=chance.choice(("UTC", "Europe/Berlin")),
            owner=f"owner of {team}",
            contact=f"#{team}",
        )


def read_documents(records: Iterator[Budget]) -> ControlSnapshot:
    """As the control log reads them: JSON, one after the other, with equal parts held once."""
    parts, changes = Parts(), dict[str, tuple[int, ControlRecord | None]]()
    for offset, record in enumerate(records):
        read = parts.share(parse_record(dump_record(record)))
        changes[record_key(read)] = (offset, read)
    snapshot = ControlSnapshot().with_changes(changes, max(1, len(changes)))
    # The log keeps them for what comes next.
    object.__setattr__(snapshot, "_parts", parts)
    return snapshot


def build(teams: int, budgets: int) -> tuple[ControlSnapshot, list[Shard]]:
    """The documents, and every shard after two hours of use."""
    chance = random.Random(7)
    names = [f"team-{number:05}" for number in range(teams)]
    control = read_documents(one for team in names for one in budgets_of(team, budgets, chance))
    shards = [Shard(number, Counts(1, TALLY_PARTITIONS), AgentsConfig()) for number in range(TALLY_PARTITIONS)]
    home: dict[int, list[Budget]] = {number: [] for number in range(TALLY_PARTITIONS)}
    for budget in control.budgets.values():
        home[home_partition(f"budget/{budget.id}", TALLY_PARTITIONS)].append(budget)
    of_teams: dict[int, list[str]] = {number: [] for number in range(TALLY_PARTITIONS)}
    for name in names:
        of_teams[home_partition(f"team/{name}", TALLY_PARTITIONS)].append(name)
    for shard in shards:
        for step in range(3):
            at_us = _START_US + step * _HOUR_US
            rows: list[dict[str, Any]] = [cell(at_us, name, input_tokens=10) for name in of_teams[shard.partition]]
            rows += [budget_row(budget, at_us, "0.01", input_tokens=10) for budget in home[shard.partition]]
            shard.offer(message(step, step * 10, step * 10 + 10, at_us, rows, control=control.position + 1))
            shard.settle(at_us, control, force=True)
    return control, shards


def measure(teams: int, budgets: int) -> Held:
    """By room, of Python's allocations."""
    build(50, budgets)
    gc.collect()
    tracemalloc.start()
    kept = build(teams, budgets)
    gc.collect()
    by_room: dict[str, int] = {}
    for found in tracemalloc.take_snapshot().statistics("filename"):
        room = _room(found.traceback[0].filename)
        by_room[room] = by_room.get(room, 0) + found.size
    tracemalloc.stop()
    del kept
    return Held(by_room)


def measure_resident(teams: int, budgets: int) -> Held:
    build(50, budgets)
    before = _resident()
    kept = build(teams, budgets)
    gc.collect()
    held = Held({"process": _resident() - before})
    del kept
    return held


def _resident() -> int:
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) * 1_024


def _room(filename: str) -> str:
    path = Path(filename)
    root = Path(__file__).parent.parent
    if path.is_relative_to(root) and ".venv" not in path.parts:
        return str(path.relative_to(root))
    return next((part for part in ("pydantic", "numpy", "pyarrow", "json") if part in path.parts), path.name)


def _apart(teams: int, budgets: int, resident: bool) -> Held:
    """In a process of its own, so that one measurement leaves nothing to the next."""
    argv = [sys.executable, "-m", "benchmarks.bench_budget_memory", "--one"]
    argv += ["--teams", str(teams), "--budgets", str(budgets), *(["--resident"] if resident else [])]
    told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return Held(**json.loads(told))


def report(teams: int, budgets: int, with_budgets: Held, without: Held) -> str:
    count = teams * budgets
    grown = {room: size - without.bytes.get(room, 0) for room, size in with_budgets.bytes.items()}
    lines = ["| held by | bytes a budget |", "|---|---:|"]
    rest = 0.0
    for room, size in sorted(grown.items(), key=lambda item: -item[1]):
        if size / count < 1:
            rest += size / count
        else:
            lines.append(f"| {room} | {size / count:,.0f} |")
    each = (with_budgets.all - without.all) / count
    lines += [f"| all else | {rest:,.0f} |", f"| **together** | **{each:,.0f}** |", ""]
    lines.append(f"{teams:,} teams: {without.all / teams:,.0f} bytes a team without budgets, ")
    lines[-1] += f"{with_budgets.all / teams:,.0f} with {budgets} each."
    held = "holds" if each <= GOAL_PER_BUDGET else "does NOT hold"
    lines.append(f"At most {GOAL_PER_BUDGET} bytes a budget: {held}.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teams", type=int, default=10_000)
    parser.add_argument("--budgets", type=int, default=5, help="of each team")
    parser.add_argument("--resident", action="store_true", help="growth of the process instead of Python's own bytes")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        held = (measure_resident if arguments.resident else measure)(arguments.teams, arguments.budgets)
        print(json.dumps(asdict(held)))
        return
    both = [_apart(arguments.teams, count, arguments.resident) for count in (arguments.budgets, 0)]
    print(report(arguments.teams, arguments.budgets, *both))


if __name__ == "__main__":
    main()
