"""In: waits and what the run took. Out: quantiles against goals, as values and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

TITLE: Final = "## From event to alert"


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds, of those that were told. `within_goal`: how many of all kept `goal_s`; None: there is none."""

    what: str
    planted: int
    told: int
    p50_s: float | None
    p95_s: float | None
    longest_s: float | None
    goal_s: float | None
    within_goal: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run. `cpu`: processors that each process kept busy in the live part; `machine_busy`: share of all of them,
    whoever used it; `messages_behind`: input that enrich had not read at the end; `tallies_per_s`: messages that the
    agents took in, `settle_ms`: the mean of one settlement of a shard, both while it was live."""

    rows: list[Waits]
    false_alerts: int
    events_per_s: float
    seconds: float
    teams: int
    watched: int
    longest_tick_s: float
    cpu: dict[str, float]
    machine_busy: float
    load_average: float
    messages_behind: int
    tallies_per_s: float
    settle_ms: float
    machine: str


def waits(what: str, planted: int, goal_s: float | None, found: Sequence[float]) -> Waits:
    p50, p95, longest = (float(np.quantile(found, share)) for share in (0.5, 0.95, 1)) if found else (None,) * 3
    within = None if goal_s is None else sum(one <= goal_s for one in found)
    return Waits(what, planted, len(found), p50, p95, longest, goal_s, within)


def as_text(outcome: Outcome, command: str) -> str:
    """The section as Markdown."""
    pace = f"{outcome.events_per_s:,.0f} events/s for {outcome.seconds:.0f} s, paced, {outcome.teams} teams"
    cpu = ", ".join(f"{name} {share:.2f}" for name, share in outcome.cpu.items())
    lines = [
        TITLE,
        "",
        f"{pace}; the usual of {outcome.watched} of them was learnt from",
        "80 hours before, replayed at full speed. Apache Kafka, enrich and agents are processes of their own, on one",
        "machine with the producer; the alerts are read as a subscriber reads them, committed ones alone.",
        "",
        "| what | planted | told | p50 s | p95 s | max s | goal |",
        "|---|---:|---:|---:|---:|---:|---|",
        *(_line(row) for row in outcome.rows),
        "",
        f"Alerts on teams that did not run away: {outcome.false_alerts}. Processors kept busy: {cpu}.",
        f"The machine was busy to {outcome.machine_busy:.0%}, its load {outcome.load_average:.1f}. The producer's",
        f"longest tick took {outcome.longest_tick_s:.2f} s; enrich had {outcome.messages_behind:,} messages to read at",
        f"the end. The agents took {outcome.tallies_per_s:,.0f} tallies a second; a settlement took them",
        f"{outcome.settle_ms:.0f} ms.",
        "",
        f"Machine: {outcome.machine}. Measured by `{command}`.",
    ]
    return "\n".join(lines) + "\n"


def put_section(path: Path, section: str) -> None:
    """Put the section into the page, in place of the one with the same title, else at its end."""
    page = path.read_text()
    before, title, rest = page.partition(f"\n{TITLE}\n")
    _, next_title, after = rest.partition("\n## ") if title else ("", "", "")
    path.write_text(before.rstrip("\n") + "\n\n" + section + (f"\n## {after}" if next_title else ""))


def _line(row: Waits) -> str:
    figures = (f"{one:.2f}" if one is not None else "–" for one in (row.p50_s, row.p95_s, row.longest_s))
    goal = "" if row.goal_s is None else f"{row.goal_s:g} s: {_verdict(row)}"
    return f"| {row.what} | {row.planted} | {row.told} | {' | '.join(figures)} | {goal} |"


def _verdict(row: Waits) -> str:
    return "met" if row.within_goal == row.planted else f"met by {row.within_goal} of {row.planted}"
