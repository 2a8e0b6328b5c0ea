"""In: the cells of a workflow and since when it has shifted. Out: before against after: what a call costs, what that
makes a month, and which version brought it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streams.agents.reviews.parts import Blend, Part, split_change
from streams.agents.reviews.questions import Cell
from streams.agents.reviews.shift import Shape
from streams.agents.reviews.sums import Sums, by_model, whole

_BEFORE_HOURS: Final = 28 * 24
#: What is now: a week, or of a drift three days.
_NOW_HOURS: Final = 7 * 24
_DRIFT_HOURS: Final = 72
#: A version that came so many hours before a step, or after it, may have brought it.
_EARLIER: Final = 24
_LATER: Final = 3
MONTH_DAYS: Final = 30
#: Of the change, the part that must be explained by calls that moved from one version to another.
_MOVED: Final = 0.7
#: A version that had this share of the calls before is not new.
_KNOWN: Final = 0.02


@dataclass(frozen=True, slots=True)
class Moved:
    """Calls went to this version, whose own cost per call has stayed: its share of calls before and after."""

    version: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class VersionPart:
    """What the calls of one version or template cost beyond the usual, of all the span after: nano-USD and share."""

    name: str
    delta: int
    share: float
    before: float | None
    after: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Hours [since_hour, until_hour) against up to four weeks before. `calls_month`: calls of a month as of the last
    week. `observed` and `expected`: nano-USD a month at these calls, as of now and before. `extra_so_far`: nano-USD
    beyond the usual since it began. `version`, `template`: what was new then and has most of the calls.
    """

    since_hour: int
    until_hour: int
    before: Sums
    after: Sums
    calls_month: int
    observed: int
    expected: int
    extra_so_far: int
    parts: tuple[Part, ...]
    gained_model: str
    version: str | None
    template: str | None
    moved: Moved | None
    versions: tuple[VersionPart, ...]
    known_days: int

    @property
    def extra(self) -> int:
        """Nano-USD a month."""
        return self.observed - self.expected

    @property
    def times(self) -> float:
        return self.after.cost_per_call / self.before.cost_per_call if self.before.cost else 0.0


def compare(
    cells: Sequence[Cell], since_hour: int, until_hour: int, shape: Shape, now_hours: int | None = None
) -> Comparison | None:
    """None when one of the spans has no calls. `now_hours`: what is now, where it is not a week or three days."""
    version = _newcomer(cells, since_hour, "version") if shape == "step" else None
    template = _newcomer(cells, since_hour, "template") if shape == "step" else None
    first = min([since_hour, *(hour for _, hour in filter(None, (version, template)))])
    if version is not None:
        first = version[1]
    now_from = max(first, until_hour - (now_hours or (_NOW_HOURS if shape == "step" else _DRIFT_HOURS)))
    earlier = [cell for cell in cells if first - _BEFORE_HOURS <= cell.hour < first]
    since = [cell for cell in cells if first <= cell.hour < until_hour]
    now = [cell for cell in since if cell.hour >= now_from]
    before_models, after_models = by_model(earlier), by_model(now)
    before, after = whole(before_models), whole(after_models)
    if not before.calls or not after.calls:
        return None
    calls_month = _calls_month(cells, until_hour)
    all_since = whole(by_model(since))
    return Comparison(
        first,
        until_hour,
        before,
        after,
        calls_month,
        round(after.cost / after.calls * calls_month),
        round(before.cost / before.calls * calls_month),
        all_since.cost - before.cost * all_since.calls // before.calls,
        split_change(before_models, after_models),
        Blend(before_models, after_models).gained(),
        None if version is None else version[0],
        None if template is None else template[0],
        None if version is not None else _moved(earlier, now),
        _by_version(earlier, now),
        (first - cells[0].hour) // 24,
    )


def _calls_month(cells: Sequence[Cell], until_hour: int) -> int:
    """Calls of the last week, or of as much of it as there is, made a month."""
    hours = min(_NOW_HOURS, max(24, until_hour - cells[0].hour))
    calls = sum(cell.calls for cell in cells if until_hour - hours <= cell.hour < until_hour)
    return round(calls * MONTH_DAYS * 24 / hours)


def _newcomer(cells: Sequence[Cell], since_hour: int, field: str) -> tuple[str, int] | None:
    """The version (template) that has most of the calls of the first day, and came with the step; and its hour."""
    first: dict[str, int] = {}
    calls: Counter[str] = Counter()
    for cell in cells:
        name = getattr(cell, field)
        first.setdefault(name, cell.hour)
        if since_hour <= cell.hour < since_hour + 24:
            calls[name] += cell.calls
    name, most = max(calls.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    if not name or 2 * most <= calls.total() or cells[0].hour == first[name]:
        return None
    return (name, first[name]) if since_hour - _EARLIER <= first[name] <= since_hour + _LATER else None


def _by_name(cells: Sequence[Cell]) -> dict[str, Sums]:
    found: dict[str, Sums] = {}
    for cell in cells:
        found[cell.version] = found.get(cell.version, Sums()) + Sums(*cell[4:])
    return found


def _moved(earlier: Sequence[Cell], now: Sequence[Cell]) -> Moved | None:
    """Whether versions that were there before account for the change by how calls are shared among them alone."""
    was, has = _by_name(earlier), _by_name(now)
    before, after = whole(was), whole(has)
    if len(was.keys() | has.keys()) < 2 or any(
        name not in was or was[name].calls < _KNOWN * before.calls for name, one in has.items() if one.calls
    ):
        return None
    change = after.cost_per_call - before.cost_per_call
    as_before = sum(one.calls * was[name].cost_per_call for name, one in has.items()) / after.calls
    if change <= 0 or as_before - before.cost_per_call < _MOVED * change:
        return None
    shares = {name: (was[name].calls / before.calls, one.calls / after.calls) for name, one in has.items()}
    name = max(shares, key=lambda name: (shares[name][1] - shares[name][0], name))
    return Moved(name, *shares[name]) if name else None


def _by_version(earlier: Sequence[Cell], now: Sequence[Cell]) -> tuple[VersionPart, ...]:
    """What each version's calls cost beyond the usual call, in falling order; shares add up to one."""
    was, has = _by_name(earlier), _by_name(now)
    before, after = whole(was), whole(has)
    change = after.cost - before.cost * after.calls / before.calls
    if change <= 0:
        return ()
    found = []
    for name, one in has.items():
        delta = one.cost - before.cost * one.calls / before.calls
        old = was.get(name)
        found.append(
            VersionPart(
                name, round(delta), delta / change, None if old is None else old.cost_per_call, one.cost_per_call
            )
        )
    return tuple(sorted(found, key=lambda part: (-part.delta, part.name)))
