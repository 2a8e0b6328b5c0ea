"""In: a question and the documents. Out: the attributes that enrich will give the call: what the documents fix rules,
what contradicts them loses.

The same rules as enrich has for columns, for one call; a test holds the two against each other. What the documents say
nothing of is taken from the asker: department, role, model class and criticality as well, which no event can claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from schemas.control.base import Dated
from schemas.control.directory import Membership, SenderKind, TeamTerm
from schemas.control.snapshot import ControlSnapshot
from schemas.control.use_cases import UseCase
from schemas.enriched import UNATTRIBUTED
from schemas.pseudonym import hash_user
from streamgauge.checking.question import TEXTS, Question

_T = TypeVar("_T", bound=Dated)
#: Who is asked for the team, in this order.
_ORDER: Final[tuple[tuple[SenderKind, str], ...]] = (
    ("credential", "credential_id"),
    ("user", "user_hash"),
    ("source", "source"),
)
_KEPT: Final = tuple(name for name in TEXTS if name != "user_id")


@dataclass(frozen=True, slots=True)
class Resolved:
    """`facts`: values by enriched column, those that are known. `lost`: claims by field that the documents contradict.
    `is_person_unknown`: a user was named, but nobody gave the key that user ids are hashed with.
    """

    facts: dict[str, str]
    lost: dict[str, str]
    is_person_unknown: bool


class Resolver:
    """Compiled from one snapshot; any number of threads may ask."""

    def __init__(self, snapshot: ControlSnapshot, user_key: bytes | None) -> None:
        self._key = user_key
        self._teams: dict[str, tuple[TeamTerm, ...]] = {team.id: team.terms for team in snapshot.teams.values()}
        self._senders: dict[tuple[SenderKind, str], tuple[Membership, ...]] = {
            key: sender.terms for key, sender in snapshot.senders.items()
        }
        self._listed: frozenset[str] | None = None
        if snapshot.teams:
            named = {term.team for terms in self._senders.values() for term in terms}
            self._listed = frozenset(self._teams.keys() | named)
        self._use_cases: dict[str, UseCase] = snapshot.use_cases
        self._exact = {model.id: model.model_class for model in snapshot.models.values() if not model.id.endswith("*")}
        self._families = sorted(
            ((model.id[:-1], model.model_class) for model in snapshot.models.values() if model.id.endswith("*")),
            key=lambda family: len(family[0]),
            reverse=True,
        )

    def resolve(self, question: Question, at_us: int) -> Resolved:
        """What holds for the call at an instant."""
        facts: dict[str, str] = {}
        for name in _KEPT:
            value = getattr(question, name)
            if value is not None:
                facts[name] = value
        lost: dict[str, str] = {}
        is_person_unknown = False
        if question.user_id is not None:
            if self._key is not None:
                facts["user_hash"] = hash_user(self._key, question.user_id)
            is_person_unknown = "user_hash" not in facts
        terms = [
            (kind, at(self._senders.get((kind, facts[column]), ()), at_us))
            for kind, column in _ORDER
            if column in facts
        ]
        known = [term for _, term in terms if term is not None]
        self._team(facts, lost, known, at_us)
        person = next((term for kind, term in terms if kind == "user"), None)
        _rule(facts, lost, "role", None if person is None else person.role)
        self._purpose(facts, lost, known)
        if "model" in facts:
            _rule(facts, lost, "model_class", self._class(facts["model"]))
        return Resolved(facts, lost, is_person_unknown)

    def _team(self, facts: dict[str, str], lost: dict[str, str], known: list[Membership], at_us: int) -> None:
        claim = facts.pop("team_id", None)
        team = known[0].team if known else None
        if team is None and claim is not None and (self._listed is None or claim in self._listed):
            team = claim
        if claim is not None and claim != team:
            lost["team_id"] = claim
        facts["team_id"] = UNATTRIBUTED if team is None else team
        stands = at(self._teams.get(facts["team_id"], ()), at_us)
        _rule(facts, lost, "department", None if stands is None else stands.department)

    def _purpose(self, facts: dict[str, str], lost: dict[str, str], known: list[Membership]) -> None:
        fixed = next((term.use_case for term in known if term.use_case is not None), None)
        _rule(facts, lost, "use_case", fixed)
        use_case = self._use_cases.get(facts.get("use_case", ""))
        if use_case is not None and fixed is None and use_case.teams and facts["team_id"] not in use_case.teams:
            lost["use_case"] = facts.pop("use_case")
            use_case = None
        stage = next((term.stage for term in known if term.stage is not None), None)
        if stage is None and use_case is not None:
            stage = use_case.stage
        _rule(facts, lost, "stage", stage)
        if use_case is not None:
            _rule(facts, lost, "criticality", use_case.criticality)
            if use_case.data_class is not None:
                facts.setdefault("data_class", use_case.data_class)

    def _class(self, model: str) -> str | None:
        exact = self._exact.get(model)
        if exact is not None:
            return exact
        return next((model_class for prefix, model_class in self._families if model.startswith(prefix)), None)


def _rule(facts: dict[str, str], lost: dict[str, str], name: str, ruled: str | None) -> None:
    """What the documents say of a field replaces what was claimed; a contradiction is noted."""
    if ruled is None:
        return
    claim = facts.get(name)
    if claim is not None and claim != ruled:
        lost[name] = claim
    facts[name] = ruled


def at(terms: Sequence[_T], at_us: int) -> _T | None:
    """The term that holds at an instant; terms do not overlap."""
    return next((term for term in terms if term.from_us <= at_us < term.to_us), None)
