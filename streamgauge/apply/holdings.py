"""In: definitions from folders that have an owner. Out: problems where a file defines what its owner does not hold."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.control.acknowledgements import Acknowledgement
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Budget, Scope
from schemas.control.departments import Department
from schemas.control.directory import Sender, Team
from schemas.control.exceptions import ExceptionGrant, ExceptionRule
from schemas.control.policies import Policy
from schemas.control.records import ControlRecord
from schemas.control.snapshot import ControlSnapshot
from schemas.control.use_cases import UseCase
from streamgauge.apply.departments import below
from streamgauge.apply.directory import TeamEntry
from streamgauge.apply.loading import Definition, Loaded
from streamgauge.apply.problems import Problem
from streamgauge.apply.subtrees import Subtree


def check_holdings(after: ControlSnapshot, current: ControlSnapshot, loaded: Loaded) -> list[Problem]:
    """Each definition against the owner of its folder: what it says must lie within what they hold, and so must what
    stands under its id now.
    """
    if not any(loaded.trees.owned.values()):
        return []
    problems: list[Problem] = []
    made: dict[Subtree, tuple[Holding, Holding]] = {}
    owners = {file: loaded.trees.of(file) for file in {one.place.file for one in loaded.definitions}}
    for one in loaded.definitions:
        subtree = owners[one.place.file]
        if subtree is None:
            continue
        if subtree not in made:
            made[subtree] = Holding(subtree, after), Holding(subtree, current)
        then, now = made[subtree]
        fault = _fault(one, then, now, after, current)
        if fault is not None:
            field, why = fault
            where = loaded.place(one.key, field) if one.key in loaded.documents else one.place
            owner = f"{subtree.folder} belongs to {subtree.owner}, who holds {subtree.holds}"
            problems.append(Problem(where, field, f"{why}; {owner}: ask whoever holds it, or define it there"))
    return problems


def prunable(loaded: Loaded, current: ControlSnapshot, gone: Iterable[str]) -> set[str]:
    """Of the records that no file names, those that the applied files may take away: all, once a file of the root is
    among them; else what the owners of their folders hold.
    """
    owners = [loaded.trees.of(file) for file in dict.fromkeys(one.place.file for one in loaded.definitions)]
    if any(owner is None for owner in owners):
        return set(gone)
    holdings = [Holding(owner, current) for owner in dict.fromkeys(owners) if owner is not None]
    return {
        key
        for key in gone
        if any(held.outside(current.records[key]) is None and _granted(held, key) for held in holdings)
    }


def _granted(held: Holding, key: str) -> bool:
    kind = key.split("/", 1)[0]
    return ("directory" if kind in ("team", "sender") else kind) in held.subtree.kinds


def _fault(
    one: Definition, then: Holding, now: Holding, after: ControlSnapshot, current: ControlSnapshot
) -> tuple[str, str] | None:
    """(field, what is not theirs), or None."""
    if one.document not in then.subtree.kinds:
        return "kind", f"{one.document} documents are not left to this folder"
    old = current.records.get(one.key)
    if old is not None and now.outside(old) is not None:
        return "id", f"{one.key} is in force and not theirs to change ({now.outside(old)})"
    if isinstance(one.entry, Department) and old is None and one.entry.id not in now.departments:
        standing = {term.department for team in current.teams.values() for term in team.terms}
        if one.entry.id in standing:
            return "id", f"teams stand in department {one.entry.id}, which is not theirs"
    if isinstance(one.entry, TeamEntry):
        department = one.entry.department
        stood = {term.department for term in old.terms} if isinstance(old, Team) else set()
        if department is not None and department not in then.departments | stood:
            return "teams", f"department {department} is not theirs"
    record = after.records.get(one.key)
    outside = None if record is None else then.outside(record)
    if outside is not None:
        return _FIELDS.get(one.document, "id"), outside
    return None if record is None or record == old else _unproven(record, then.subtree)


def _unproven(record: ControlRecord, subtree: Subtree) -> tuple[str, str] | None:
    """A merged file proves the word of who reviews it: in an owner's folder that is the owner, and nobody else."""
    if not isinstance(record, ExceptionGrant | Acknowledgement):
        return None
    decision = record.decision
    if decision is None or decision.via != "review":
        return None
    if decision.by != subtree.owner:
        return "decision.by", (
            f"a file of this folder does not prove that {decision.by} decided: let {decision.by} sign it, or let it "
            "stand in a file of the root"
        )
    if isinstance(record, ExceptionGrant) and record.is_approved and record.requested_by == decision.by:
        return "decision.by", f"{decision.by} asked for it, and nobody approves their own request"
    return None


_FIELDS = {
    "budget": "scope",
    "activity": "scope",
    "policy": "when",
    "exception": "",
    "exception_rule": "",
    "directory": "",
    "department": "parent",
}


class Holding:
    """What the owner of a folder holds, by the records of one snapshot."""

    def __init__(self, subtree: Subtree, snapshot: ControlSnapshot) -> None:
        self.subtree = subtree
        self._snapshot = snapshot
        beneath = below(snapshot.departments)
        self.departments = {name for top in subtree.departments for name in (top, *beneath.get(top, ()))}
        #: A team belongs where it stands last.
        self.teams = set(subtree.teams) | {
            team.id
            for team in snapshot.teams.values()
            if max(team.terms, key=lambda term: term.from_us).department in self.departments
        }
        self.use_cases = set(subtree.use_cases)

    def outside(self, record: ControlRecord) -> str | None:
        """What of the record is not theirs, in words; None: all of it is."""
        if isinstance(record, Budget | PlannedActivity):
            return self._scope(record.scope)
        if isinstance(record, ExceptionGrant):
            return self._scope(record.permits.scope) if record.permits is not None else self._budget(record.budget)
        if isinstance(record, Acknowledgement):
            return self._budget(record.id)
        if isinstance(record, Policy):
            return self._policy(record)
        if isinstance(record, ExceptionRule):
            return self._rule(record)
        return self._thing(record)

    def _thing(self, record: ControlRecord) -> str | None:
        if isinstance(record, Team):
            if record.id in self.subtree.teams:
                return None
            return _not_theirs(
                "department", (str(term.department or "(none)") for term in record.terms), self.departments
            )
        if isinstance(record, Sender):
            return _not_theirs("team", (term.team for term in record.terms), self.teams)
        if isinstance(record, Department):
            if record.parent is None or record.parent not in self.departments:
                return f"department {record.id} lies below {record.parent or 'nothing'}, not below one of theirs"
            return None
        if isinstance(record, UseCase):
            return _not_theirs("use case", (record.id,), self.use_cases)
        return f"{record.kind} documents are the root's"

    def _scope(self, scope: Scope) -> str | None:
        theirs = scope.team in self.teams or scope.department in self.departments or scope.use_case in self.use_cases
        if theirs:
            return None
        person = self._snapshot.senders.get(("user", scope.user or ""))
        if person is not None and all(term.team in self.teams for term in person.terms):
            return None
        return f"its scope, {scope.text()}, is not inside what they hold"

    def _budget(self, name: str | None) -> str | None:
        budget = self._snapshot.budgets.get(name or "")
        # A budget that nobody knows is told elsewhere.
        if budget is None or self._scope(budget.scope) is None:
            return None
        return f"budget {name} is not theirs"

    def _policy(self, policy: Policy) -> str | None:
        when = policy.when
        inside = (
            (when.team and self.teams.issuperset(when.team))
            or (when.department and self.departments.issuperset(when.department))
            or (when.use_case and self.use_cases.issuperset(when.use_case))
        )
        return (
            None if inside else "its `when` reaches beyond what they hold: name their teams, departments or use cases"
        )

    def _rule(self, rule: ExceptionRule) -> str | None:
        if rule.budgets:
            return next((fault for name in rule.budgets if (fault := self._budget(name)) is not None), None)
        if rule.teams:
            return _not_theirs("team", rule.teams, self.teams)
        return "it decides for every budget: name theirs in `budgets` or `teams`"


def _not_theirs(what: str, names: Iterable[str], held: set[str]) -> str | None:
    wrong = next((name for name in names if name not in held), None)
    return None if wrong is None else f"{what} {wrong} is not theirs"
