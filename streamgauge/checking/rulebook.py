"""In: a control snapshot. Out: everything that questions are judged by, compiled once per snapshot; and what the
documents alone say of a call, worked out once for all calls like it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from schemas.control.base import moment_us
from schemas.control.snapshot import ControlSnapshot
from streamgauge.checking.answer import Reason
from streamgauge.checking.budgets import BudgetEntry, BudgetIndex
from streamgauge.checking.policies import PolicyJudge
from streamgauge.checking.question import TEXTS, Question
from streamgauge.checking.resolve import Resolved, Resolver

#: Kinds of calls that are held: far more than gateways have, and little memory.
HELD: Final = 4_096
#: Of these it counts only whether they are known: nothing is selected by them.
_ONE_CALL: Final = ("session_id", "trace_id")
_kind = attrgetter(*(name for name in TEXTS if name not in _ONE_CALL))


@dataclass(frozen=True, slots=True)
class Documented:
    """What the documents alone say of a call: who it is of, the budgets that count it, what policies say.

    `shown`: the attributes that an answer tells.
    """

    resolved: Resolved
    entries: tuple[BudgetEntry, ...]
    policies: tuple[Reason, ...]
    shown: dict[str, str]


class Rulebook:
    """`position` is the control log's. `knows_persons`: whether any budget or membership is about a person."""

    def __init__(self, snapshot: ControlSnapshot, user_key: bytes | None, before: Rulebook | None = None) -> None:
        """What `before` knew of budgets that have not changed is kept."""
        self.position = snapshot.position
        self.budgets: BudgetIndex = BudgetIndex(snapshot.budgets.values(), None if before is None else before.budgets)
        self.knows_persons = self.budgets.has_personal or any(kind == "user" for kind, _ in snapshot.senders)
        self._resolver = Resolver(snapshot, user_key)
        self._policies = PolicyJudge(snapshot)
        #: When documents begin and end to hold, µs: between two of these they say the same of the same call.
        self._turns = sorted(set(_turns(snapshot)))
        self._stretch = -1
        self._held: dict[object, Documented] = {}

    def of(self, question: Question, at_us: int) -> Documented:
        """What holds for the call at an instant. Of one thread at a time."""
        stretch = bisect_right(self._turns, at_us)
        if stretch != self._stretch or len(self._held) >= HELD:
            self._stretch = stretch
            self._held.clear()
        key = (_kind(question), question.session_id is None, question.trace_id is None)
        found = self._held.get(key)
        if found is None:
            found = self._held[key] = self._find(question, at_us)
        return found

    def _find(self, question: Question, at_us: int) -> Documented:
        resolved = self._resolver.resolve(question, at_us)
        return Documented(
            resolved,
            tuple(self.budgets.matching(resolved.facts)),
            tuple(self._policies.reasons(resolved.facts, at_us)),
            {name: value for name, value in resolved.facts.items() if name not in ("user_hash", *_ONE_CALL)},
        )


def _turns(snapshot: ControlSnapshot) -> Iterator[int]:
    for team in snapshot.teams.values():
        for stands in team.terms:
            yield from (stands.from_us, stands.to_us)
    for sender in snapshot.senders.values():
        for term in sender.terms:
            yield from (term.from_us, term.to_us)
    for exception in snapshot.exceptions.values():
        yield from (moment_us(exception.valid_from), moment_us(exception.valid_to))


def compile_rulebook(snapshot: ControlSnapshot, user_key: bytes | None, before: Rulebook | None = None) -> Rulebook:
    """Compile a snapshot; what `before` knew of budgets that have not changed is kept."""
    return Rulebook(snapshot, user_key, before)
