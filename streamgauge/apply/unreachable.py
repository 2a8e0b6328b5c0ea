"""In: the budgets that files define, and all that would be in force. Out: budgets that no call can ever match, or
whose time is over; and notes on levels that a limit above them keeps out of reach.

Only what the documents make certain is refused: a department comes from the directory, a model class from the
catalogue, a criticality from the use case, a role from the person. What an event may claim by itself may always come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from schemas.control.activities import PlannedActivity
from schemas.control.base import moment_us
from schemas.control.budgets import Budget, Scope
from schemas.control.snapshot import ControlSnapshot
from streamgauge.apply.loading import Loaded
from streamgauge.apply.problems import Problem


def check_reach(after: ControlSnapshot, loaded: Loaded, changed: Iterable[str], now_us: int | None) -> list[Problem]:
    """`changed`: keys that are new or say something new: what stood before an end stands after it."""
    reach = _Reach(after)
    news = set(changed)
    problems: list[Problem] = []
    for key in loaded.places:
        record = after.records.get(key)
        if not isinstance(record, Budget | PlannedActivity):
            continue
        for field, why in reach.faults(record.scope):
            problems.append(Problem(loaded.place(key, field), field, why))
        if isinstance(record, PlannedActivity):
            continue
        if now_us is not None and key in news and record.ends_at is not None and moment_us(record.ends_at) <= now_us:
            why = (
                f"this span is over since {record.ends_at.isoformat()}, so nothing would be counted: give it an end "
                "that is to come, or take the document out"
            )
            problems.append(Problem(loaded.place(key, "ends_at"), "ends_at", why))
    return problems


class _Reach:
    """What the documents say of who is where."""

    def __init__(self, snapshot: ControlSnapshot) -> None:
        self._snapshot = snapshot
        self._departments = {
            team.id: {term.department for term in team.terms if term.department is not None}
            for team in snapshot.teams.values()
        }
        self._standing = set().union(*self._departments.values()) if self._departments else set()
        self._classes = {model.model_class for model in snapshot.models.values()}
        self._roles = {term.role for sender in snapshot.senders.values() for term in sender.terms} - {None}
        self._criticalities = {one.criticality for one in snapshot.use_cases.values()}

    def faults(self, scope: Scope) -> Iterator[tuple[str, str]]:
        """(field, why no call can match); what a name that nobody defines means is told elsewhere."""
        yield from self._of_names(scope)
        yield from self._of_use_case(scope)
        within = set(scope.within or ([scope.department] if scope.department is not None else []))
        if scope.team is not None and scope.team in self._departments and within:
            stands = self._departments[scope.team]
            if not stands & within:
                told = f"stands in {' and '.join(sorted(stands))}" if stands else "stands in no department"
                why = f"team {scope.team} {told}, never in {scope.department} or below it: no call can match both"
                yield "scope.team", why
        if scope.user is not None and scope.role is not None:
            person = self._snapshot.senders.get(("user", scope.user))
            if person is None or scope.role not in {term.role for term in person.terms}:
                yield "scope.role", f"the directory does not give this person the role {scope.role}"

    def _of_names(self, scope: Scope) -> Iterator[tuple[str, str]]:
        within = set(scope.within or ([scope.department] if scope.department is not None else []))
        if within and not within & self._standing:
            why = (
                f"no team stands in department {scope.department} or below it, so no call can match: give a team "
                "this department in the directory first"
            )
            # A department that nobody has heard of is told as such.
            if scope.department in self._snapshot.departments or not self._standing:
                yield "scope.department", why
        if scope.model_class is not None and not self._classes:
            yield "scope.model_class", "classes come from the model catalogue (kind: model), and there is none yet"
        if scope.role is not None and not self._roles:
            yield "scope.role", "roles come from the directory's members, and nobody has one yet"
        if scope.criticality is not None and scope.criticality not in self._criticalities:
            why = f"no use case is of criticality {scope.criticality}, so no call can match"
            yield "scope.criticality", why

    def _of_use_case(self, scope: Scope) -> Iterator[tuple[str, str]]:
        use_case = self._snapshot.use_cases.get(scope.use_case or "")
        if use_case is None:
            return
        if scope.team is not None and use_case.teams and scope.team not in use_case.teams:
            why = f"use case {use_case.id} is for {_told(use_case.teams)}, not for {scope.team}: no call can match both"
            yield "scope.use_case", why
        if scope.stage is not None and use_case.stage not in (None, scope.stage):
            yield "scope.stage", f"use case {use_case.id} is {use_case.stage} by its document, never {scope.stage}"
        if scope.criticality not in (None, use_case.criticality):
            why = f"use case {use_case.id} is of criticality {use_case.criticality}, never {scope.criticality}"
            yield "scope.criticality", why


def notes_on_limits(after: ControlSnapshot, changed: Iterable[str]) -> Iterator[str]:
    """Budgets whose warning lies above the hard level of an enforced one that counts all that they count, in the same
    unit and period: what is stopped there warns nobody here. Worth a word, not a refusal: exceptions raise limits.
    """
    upper: dict[tuple[object, ...], Budget] = {}
    for budget in after.budgets.values():
        if budget.mode == "enforce":
            selectors = frozenset(_selectors(budget.scope).items())
            place = (*_calendar(budget), selectors)
            known = upper.get(place)
            if known is None or budget.level_units("hard") < known.level_units("hard"):
                upper[place] = budget
    if not upper:
        return
    for key in changed:
        record = after.records.get(key)
        if not isinstance(record, Budget):
            continue
        items = sorted(_selectors(record.scope).items())
        for size in range(len(items) + 1):
            for some in combinations(items, size):
                over = upper.get((*_calendar(record), frozenset(some)))
                if over is None or over.id == record.id:
                    continue
                if over.level_units("hard") < record.level_units("warning"):
                    yield (
                        f"budget {record.id} can hardly warn: budget {over.id}, which counts all that it counts, "
                        f"stops at {over.limit * over.levels.hard:f} {over.unit}, and its own warning begins at "
                        f"{record.limit * record.levels.warning:f}"
                    )


def _calendar(budget: Budget) -> tuple[object, ...]:
    return budget.unit, budget.period, budget.time_zone, budget.starts_at, budget.ends_at


def _selectors(scope: Scope) -> dict[str, str]:
    return scope.model_dump(exclude_none=True, exclude={"within"})


def _told(names: tuple[str, ...]) -> str:
    return ", ".join(names)
