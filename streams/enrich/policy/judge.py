"""In: what is known of one call, and its time. Out: the gravest verdict on it, by which rule, and its retention class.

A policy speaks of every call that its `when` selects, and finds it `allowed` where it has nothing against it; so does
a model whose catalogue entry names data classes, of calls that tell theirs. Of several findings the gravest stands, and
of equally grave ones the rule with the least id. A permission turns each `forbidden` and `discouraged` that it meets
into `excepted`. The retention class is that of the speaking policy with the least id that has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas.control.policies import UNKNOWN_DATA_CLASS, UNREGISTERED_USE_CASE, VERDICTS, Policy, Verdict
from schemas.control.snapshot import ControlSnapshot
from schemas.enriched import UNATTRIBUTED
from streams.enrich.policy.exceptions import Grants
from streams.enrich.policy.selecting import Catalogue, Values, departments_below, is_chosen, selection_of

_GRAVITY = {verdict: place for place, verdict in enumerate(VERDICTS)}
#: Field of an event -> column of its enriched row, where they are not named alike.
COLUMN_OF = {"user_id": "user_hash"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of one call. `verdict` and `rule` are None where nothing speaks of it."""

    verdict: Verdict | None = None
    rule: str | None = None
    retention_class: str | None = None
    #: Of a use case that nobody registered, where any is registered.
    is_unregistered: bool = False
    #: Of a critical use case that acts alone, under an approval in force.
    is_high_risk_approved: bool = False


class Judge:
    """The policies of one control snapshot. Plain Python for one call: for batches see `columns`."""

    def __init__(self, snapshot: ControlSnapshot) -> None:
        below = departments_below(snapshot.departments)
        self.policies = [
            (policy, selection_of(policy.when, below))
            for policy in sorted(snapshot.policies.values(), key=lambda policy: policy.id)
        ]
        self.use_cases = snapshot.use_cases
        self.catalogue = Catalogue(snapshot.models.values())
        self.grants = Grants(snapshot)
        #: Data classes that a use case, a policy or a model names.
        self.data_classes = frozenset(
            [
                *(one.data_class for one in snapshot.use_cases.values() if one.data_class is not None),
                *(name for policy in snapshot.policies.values() for name in policy.when.data_class),
                *(name for model in snapshot.models.values() for name in model.approved_for),
            ]
        )
        self.is_empty = not (self.policies or self.use_cases or self.catalogue.restricts)

    def judge(self, values: Values, at_us: int) -> Judgement:
        """`values` by column of an enriched row; `at_us` is event time."""
        speaking = self._speaking(values)
        findings = self._findings(speaking, values, at_us)
        verdict, rule = min(findings, key=lambda one: (_GRAVITY[one[0]], one[1]), default=(None, None))
        retention = next((policy.retention_class for policy in speaking if policy.retention_class), None)
        return Judgement(
            verdict,
            rule,
            retention,
            self.is_unregistered(values.get("use_case")),
            self.is_high_risk(values.get("use_case")) and self.grants.approves(values, at_us),
        )

    def findings(self, values: Values, at_us: int) -> list[tuple[Verdict, str]]:
        """Everything that is found of a call, not only the gravest: (verdict, rule), permissions applied."""
        return self._findings(self._speaking(values), values, at_us)

    def _speaking(self, values: Values) -> list[Policy]:
        return [policy for policy, selection in self.policies if selection.selects(values)]

    def _findings(self, speaking: Iterable[Policy], values: Values, at_us: int) -> list[tuple[Verdict, str]]:
        findings = [(verdict, rule) for policy in speaking for verdict, rule in self._find(policy, values, at_us)]
        findings += self._unclear(values)
        findings += self._by_catalogue(values)
        if any(verdict in ("forbidden", "discouraged") for verdict, _ in findings):
            permission = self.grants.permits(values, at_us)
            if permission is not None:
                findings = [
                    ("excepted", permission) if verdict in ("forbidden", "discouraged") else (verdict, rule)
                    for verdict, rule in findings
                ]
        return findings

    def _find(self, policy: Policy, values: Values, at_us: int) -> Iterator[tuple[Verdict, str]]:
        """What one policy that speaks of the call makes of it."""
        yield "allowed", policy.id
        if (policy.allow is not None and not is_chosen(policy.allow, values)) or (
            policy.forbid is not None and is_chosen(policy.forbid, values)
        ):
            yield "forbidden", policy.id
        if policy.discourage is not None and is_chosen(policy.discourage, values):
            yield "discouraged", policy.id
        if policy.needs_approval and not self.grants.approves(values, at_us):
            yield "unapproved", policy.id
        if (
            policy.unattended is not None
            and self.acts_alone(values.get("use_case"))
            and values.get("workflow") not in policy.unattended
        ):
            yield "needs_review", policy.id
        if any(_is_missing(field, values) for field in policy.required_fields):
            yield "missing_fields", policy.id

    def _unclear(self, values: Values) -> Iterator[tuple[Verdict, str]]:
        if self.is_unregistered(values.get("use_case")):
            yield "unclear", UNREGISTERED_USE_CASE
        data_class = values.get("data_class")
        if data_class is not None and self.data_classes and data_class not in self.data_classes:
            yield "unclear", UNKNOWN_DATA_CLASS

    def _by_catalogue(self, values: Values) -> Iterator[tuple[Verdict, str]]:
        data_class = values.get("data_class")
        entry = self.catalogue.entry(values.get("model")) if data_class is not None else None
        if entry is not None and entry.approved_for:
            yield "allowed" if data_class in entry.approved_for else "forbidden", f"model/{entry.id}"

    def is_unregistered(self, use_case: str | None) -> bool:
        return use_case is not None and bool(self.use_cases) and use_case not in self.use_cases

    def acts_alone(self, use_case: str | None) -> bool:
        known = self.use_cases.get(use_case or "")
        return known is not None and known.automation == "acts_alone"

    def is_high_risk(self, use_case: str | None) -> bool:
        return self.acts_alone(use_case) and self.use_cases[use_case or ""].criticality == "critical"


def _is_missing(field: str, values: Values) -> bool:
    """The team is there as soon as anybody knows it: by the directory or by the event's own claim."""
    value = values.get(COLUMN_OF.get(field, field))
    return value is None or (field == "team_id" and value == UNATTRIBUTED)
