"""In: a finding. Out: the use cases and model classes that carry it, from the stream's own sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.alerts import Cause
from streams.agents.spikes.explain.amounts import money, percent
from streams.agents.spikes.finding import Finding

#: Values that are named of one dimension, and the part of the rise below which none is.
NAMED: Final = 3
LEAST_SHARE: Final = 0.05


def carriers(finding: Finding) -> tuple[tuple[Cause, ...], float]:
    """Values, strongest first within each dimension, and the share of the first dimension that they leave."""
    use_cases = {name: (was.cost, now.cost) for name, (was, now) in finding.parts.items()}
    classes = {
        name: (finding.before.classes.get(name, (0.0, 0.0))[1], finding.after.classes.get(name, (0.0, 0.0))[1])
        for name in {*finding.before.classes, *finding.after.classes}
    }
    rise = finding.after.cost - finding.before.cost
    by_use_case = ranked("use_case", use_cases, rise)
    by_class = ranked("model_class", classes, rise) if len(classes) > 1 else ()
    first = by_use_case or by_class
    return (*by_use_case, *by_class), 1.0 - sum(cause.share for cause in first)


def ranked(dimension: str, values: Mapping[str, tuple[float, float]], rise: float) -> tuple[Cause, ...]:
    """Of (expected, now) nano-USD by value, those that carry most of the rise. Where they carry more than all of it,
    what fell most comes last: one has taken the other's place.
    """
    if rise <= 0:
        return ()
    ordered = sorted(values.items(), key=lambda one: (one[1][0] - one[1][1], one[0]))
    causes = [_cause(dimension, *one, rise) for one in ordered[:NAMED]]
    causes = [cause for cause in causes if cause.share >= LEAST_SHARE]
    if sum(cause.share for cause in causes) > 1 + LEAST_SHARE:
        fallen = _cause(dimension, *ordered[-1], rise)
        if fallen.share <= -LEAST_SHARE:
            causes.append(fallen)
    return tuple(causes)


def _cause(dimension: str, value: str, both: tuple[float, float], rise: float) -> Cause:
    was, now = both
    share = (now - was) / rise
    return Cause(
        factor=value,
        dimension=dimension,
        label=f"{percent(share)} in {worded(dimension, value)}: {money(was)} to {money(now)}",
        delta=round(now) - round(was),
        share=share,
        before=was,
        after=now,
    )


def worded(dimension: str, value: str) -> str:
    """`use case triage`, `models of class small`; what has no name is said to have none."""
    name = {"model_class": "model class", "client": "client"}.get(dimension, dimension.replace("_", " "))
    return f"{name} {value}" if value else f"calls without a {name}"
