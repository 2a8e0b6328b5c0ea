"""In: what a scope used now and before, by dimension. Out: causes whose shares add up to one with what stays
unexplained, and one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from schemas.alerts import Cause
from schemas.control.budgets import Budget
from streams.agents.budget_texts import amount
from streams.agents.investigation.detail import Detail, Dimension, Mover, Moves, Sibling

#: Finest first: of two dimensions that explain alike, the finer one tells more.
_DIMENSIONS: Final[tuple[Dimension, ...]] = ("workflow", "use_case", "team", "model")
#: A finer dimension is preferred as long as it explains this much of what the best one does.
_ALIKE: Final = 0.9
#: Causes that are named.
_NAMED: Final = 4
#: A cause below this share of the rise is not worth a line.
_LEAST_SHARE: Final = 0.05
#: Change of the cache share that is worth a word.
_CACHE: Final = 0.05
#: A sibling has taken over when it rose by at least this share of the fall.
_TAKEN_OVER: Final = 0.5
_COLUMNS: Final = {"team_id": "team", "project_id": "project"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """`sentence` goes to the end of the alert's summary. Without causes nothing is split and `unexplained` is None."""

    causes: tuple[Cause, ...]
    unexplained: float | None
    sentence: str


def explain(budget: Budget, detail: Detail) -> Explanation | None:
    """None when there is nothing to tell: nobody used anything."""
    if detail.now <= 0:
        return None
    rise = detail.now - detail.before
    parts = [_cache(detail), _mix(detail)]
    if rise <= 0:
        split: Dimension = next((one for one in _DIMENSIONS if len(_of(detail, one)) > 1), "model")
        largest = max(_of(detail, split), key=lambda one: (one.now, one.value), default=None)
        if largest is not None:
            parts.insert(0, f"largest is {_named(largest)} with {amount(budget.unit, largest.now)}")
        told = "; ".join(part for part in parts if part)
        return Explanation((), None, f"Use is not above the span before{f': {told}' if told else ''}.")
    dimension = _best(detail, rise)
    causes = tuple(_cause(budget, one, rise) for one in _rising(detail, dimension, rise))
    unexplained = 1.0 - sum(cause.share for cause in causes)
    if causes:
        first = causes[0]
        parts.insert(0, f"{first.label}, {round(100 * first.share)}% of it")
    told = "; ".join(part for part in parts if part) or "spread over many small parts"
    sentence = f"It rose by {amount(budget.unit, rise)} against the span before: {told}."
    return Explanation(causes, unexplained, sentence)


def moved(budget: Budget, moves: Moves) -> Explanation | None:
    """Whether a sibling took over what the scope no longer uses; None: none did."""
    fall = moves.before - moves.after
    taken = [one for one in moves.siblings if one.after - one.before >= _TAKEN_OVER * fall]
    if fall <= 0 or not taken:
        return None
    first = max(taken, key=lambda one: (one.after - one.before, one.column, one.value))
    rise = first.after - first.before
    cause = Cause(
        factor=first.value,
        label=f"{_sibling(first)}: {amount(budget.unit, first.before)} to {amount(budget.unit, first.after)} an hour",
        delta=rise,
        share=rise / fall,
        before=float(first.before),
        after=float(first.after),
    )
    sentence = (
        f"In the hour after, it used {amount(budget.unit, fall)} less than in the hour before, and {_sibling(first)} "
        f"{amount(budget.unit, rise)} more: spend may have moved there."
    )
    return Explanation((cause,), 1.0 - cause.share, sentence)


def _of(detail: Detail, dimension: Dimension) -> list[Mover]:
    return [one for one in detail.movers if one.dimension == dimension]


def _rising(detail: Detail, dimension: Dimension, rise: int) -> list[Mover]:
    found = [one for one in _of(detail, dimension) if one.now - one.before >= _LEAST_SHARE * rise]
    return sorted(found, key=lambda one: (one.before - one.now, one.value))[:_NAMED]


def _best(detail: Detail, rise: int) -> Dimension:
    """The dimension whose named parts explain most. One with a single part says nothing that the scope does not."""
    explained: dict[Dimension, float] = {}
    for dimension in _DIMENSIONS:
        parts = _of(detail, dimension)
        total = sum(one.now - one.before for one in _rising(detail, dimension, rise))
        explained[dimension] = min(1.0, total / rise) if len(parts) > 1 else 0.0
    most = max(explained.values())
    if most <= 0:
        return next((one for one in _DIMENSIONS if _rising(detail, one, rise)), "model")
    return next(one for one in _DIMENSIONS if explained[one] >= _ALIKE * most)


def _cause(budget: Budget, one: Mover, rise: int) -> Cause:
    return Cause(
        factor=one.value,
        label=f"{_named(one)}: {amount(budget.unit, one.before)} to {amount(budget.unit, one.now)}",
        delta=one.now - one.before,
        share=(one.now - one.before) / rise,
        before=float(one.before),
        after=float(one.now),
    )


def _named(one: Mover) -> str:
    return f"{one.dimension.replace('_', ' ')} {one.value}"


def _sibling(one: Sibling) -> str:
    return f"{_COLUMNS.get(one.column, one.column).replace('_', ' ')} {one.value}"


def _cache(detail: Detail) -> str:
    was, now = detail.cache_before, detail.cache_now
    if was is None or now is None or abs(now - was) < _CACHE:
        return ""
    return f"share of input read from cache {round(100 * was)}% to {round(100 * now)}%"


def _mix(detail: Detail) -> str:
    """The model that most of it goes to, with its share before."""
    models = _of(detail, "model")
    first = max(models, key=lambda one: (one.now, one.value), default=None)
    if first is None or len(models) < 2:
        return ""
    was = f", before {round(100 * first.before / detail.before)}%" if detail.before > 0 else ""
    return f"{round(100 * first.now / _total(models))}% on model {first.value}{was}"


def _total(movers: Iterable[Mover]) -> int:
    return max(1, sum(one.now for one in movers))
