"""In: outcomes by detector. Out: the tables, as values and as text, beside the goals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from benchmarks.spikes.labels import MEASURES, SIZES, Incident
from benchmarks.spikes.score import Outcome

#: (figure, words, goal, whether more is better). The first detector of a report is the one that has goals.
GOALS: Final = (
    ("f1", "F1", 0.92, True),
    ("delay_median", "median delay, minutes", 10.0, False),
    ("false_per_team_week", "false alerts per team-week", 0.05, False),
    ("cause_first", "cause named first", 0.9, True),
    ("cause_among_three", "cause among three", 0.98, True),
)
_LEGEND: Final = (
    "Delay in minutes to the newest event time that was seen (the watermark is 2 minutes behind it), p95 beside it;",
    "false/tw: false alerts per team-week; 1st, in 3: the true measure named first, among the first three; named: the",
    "incident named right; use c.: the use case named.",
)
_OF_CAUSES: Final = f"{'1st':>7}{'in 3':>7}{'named':>7}{'use c.':>8}"
_AHEAD: Final = (
    ("f1", True),
    ("precision", True),
    ("recall", True),
    ("delay_median", False),
    ("delay_p95", False),
    ("false_per_team_week", False),
)


def report(outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """Figures by detector; ours by kind and size; goals with whether they are met; whether ours is ahead of each."""
    ours, *others = outcomes
    # The others explain nothing.
    table = {name: outcome.figures() for name, outcome in outcomes.items()}
    table[ours] |= outcomes[ours].causes()
    goals = {
        words: {"goal": goal, "is": table[ours].get(figure), "met": _is_ahead(table[ours].get(figure), goal, more)}
        for figure, words, goal, more in GOALS
    }
    ahead = {
        name: [figure for figure, more in _AHEAD if not _is_ahead(table[ours][figure], table[name][figure], more)]
        for name in others
    }
    return {
        "detectors": table,
        "by_kind": _split(outcomes[ours], lambda one: one.kind),
        "by_size": {size: row for size, row in _split(outcomes[ours], lambda one: one.size).items() if size in SIZES},
        "goals": goals,
        "behind": ahead,
    }


def _is_ahead(own: float | None, other: float, more: bool) -> bool:
    if own is None or own != own:
        return False
    return other != other or (own >= other if more else own <= other)


def _split(outcome: Outcome, by: Callable[[Incident], str]) -> dict[str, dict[str, float]]:
    parts: dict[str, Outcome] = defaultdict(Outcome)
    for one in outcome.found:
        parts[by(one.incident)].found.append(one)
    for missed in outcome.missed:
        parts[by(missed)].missed.append(missed)
    found = {}
    for name in sorted(parts):
        figures = parts[name].figures()
        found[name] = {
            "incidents": float(len(parts[name].found) + len(parts[name].missed)),
            "recall": figures["recall"],
            "delay_median": figures["delay_median"],
            "delay_p95": figures["delay_p95"],
            **parts[name].causes(),
        }
    return found


def printed(told: dict[str, Any]) -> str:
    """The tables as text."""
    lines = [
        "",
        f"{'':22}{'F1':>7}{'prec.':>7}{'recall':>8}{'delay':>8}{'p95':>8}{'false/tw':>10}{'1st':>7}{'in 3':>7}",
    ]
    for name, row in told["detectors"].items():
        lines.append(
            f"{name:22}{row['f1']:7.3f}{row['precision']:7.3f}{row['recall']:8.3f}{row['delay_median']:8.1f}"
            f"{row['delay_p95']:8.1f}{row['false_per_team_week']:10.4f}{_or_dash(row, 'cause_first')}"
            f"{_or_dash(row, 'cause_among_three')}"
        )
    for title in ("by_kind", "by_size"):
        lines += [
            "",
            f"{'ours ' + title.replace('_', ' '):22}{'n':>7}{'recall':>8}{'delay':>8}{'p95':>8}" + _OF_CAUSES,
        ]
        for name, row in told[title].items():
            lines.append(
                f"{name:22}{row['incidents']:7.0f}{row['recall']:8.3f}{row['delay_median']:8.1f}{row['delay_p95']:8.1f}"
                f"{_or_dash(row, 'cause_first')}{_or_dash(row, 'cause_among_three')}{_or_dash(row, 'incident_named')}"
                f" {_or_dash(row, 'use_case_named')}"
            )
    lines.append("")
    for words, goal in told["goals"].items():
        is_ = "-" if goal["is"] is None else f"{goal['is']:.3f}"
        lines.append(f"{words:32}{is_:>8}   goal {goal['goal']:<6} {'met' if goal['met'] else 'NOT MET'}")
    first = next(iter(told["detectors"].values()))
    lines.append(f"{'median delay to the watermark':32}{first['delay_watermark']:8.3f}")
    for name, figures in told["behind"].items():
        lines.append(f"ahead of {name}: " + (f"not in {', '.join(figures)}" if figures else "on every figure"))
    lines += ["", *_LEGEND]
    return "\n".join(lines)


def _or_dash(row: dict[str, float], figure: str) -> str:
    return f"{row[figure]:7.3f}" if figure in row else f"{'-':>7}"


def spelled(outcome: Outcome) -> str:
    """What was missed and what was raised for nothing, one a line."""
    lines = ["", "missed"]
    lines += [
        f"  team {one.team} {one.use_case} {one.kind} {one.size} minute {one.start} to {one.end}, "
        f"{one.excess:.1f} USD/h more, {one.ratio:.1f} times the usual of its use case"
        for one in outcome.missed
    ]
    lines.append("false")
    lines += [
        f"  team {one.team} {one.use_case or ''} minute {one.minute} {one.name or ''}: {', '.join(one.causes[:3])}"
        for one in outcome.false
    ]
    lines.append("found, with another cause first")
    lines += [
        f"  team {one.incident.team} {one.incident.use_case} {one.incident.kind} {one.incident.size} minute "
        f"{one.incident.start}, told at {one.alert.minute} of {one.alert.use_case}: {', '.join(one.alert.causes[:3])}"
        for one in outcome.found
        if not set(one.alert.causes[:1]) & MEASURES[one.incident.kind]
    ]
    return "\n".join(lines)
