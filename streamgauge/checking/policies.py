"""In: the policies in force and the attributes of one call. Out: what each policy has to say of it.

Enrich's own judge decides, so a call is told beforehand what its row will be told afterwards. Unlike a row, which keeps
the gravest verdict, a gateway hears every finding: one that is enforced may stand behind a graver one that is observed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.control.budgets import Mode
from schemas.control.policies import UNKNOWN_DATA_CLASS, UNREGISTERED_USE_CASE, VIOLATIONS, Policy, Verdict
from schemas.control.snapshot import ControlSnapshot
from schemas.control.use_cases import UseCase
from schemas.usage import USAGE_COLUMNS
from streamgauge.checking.answer import GRAVITY, Decision, Reason
from streamgauge.checking.question import TEXTS
from streams.enrich.policy.judge import Judge

#: Rules that are no policy's have no mode of their own: they are told as policies are by default.
_RULES_MODE: Final[Mode] = "warn"
#: Fields of an event that are known only once the call was made: nobody misses them before.
_LATER: Final = {field.name: "later" for field in USAGE_COLUMNS if field.name not in (*TEXTS, "user_id")}
_SENTENCES: Final[dict[Verdict, str]] = {
    "forbidden": "{model} is not allowed for such calls",
    "unapproved": "such calls need an approval in force, and {approval}",
    "needs_review": "{workflow} may not run without a person who reviews it",
    "missing_fields": "the call does not tell all of {fields}",
    "unclear": "{question}",
    "discouraged": "{model} is discouraged for such calls",
    "excepted": "an exception in force permits {model}",
    "allowed": "nothing against it",
}


class PolicyJudge:
    """The policies, model approvals and permissions of one snapshot."""

    def __init__(self, snapshot: ControlSnapshot) -> None:
        self._judge = Judge(snapshot)
        self._policies: dict[str, Policy] = snapshot.policies
        self._use_cases: dict[str, UseCase] = snapshot.use_cases

    def reasons(self, facts: Mapping[str, str], at_us: int) -> list[Reason]:
        """Every finding; a policy that allows and finds nothing else says so."""
        if self._judge.is_empty:
            return []
        findings = set(self._judge.findings(_LATER | dict(facts), at_us))
        spoken = {rule for verdict, rule in findings if verdict != "allowed"}
        return [
            self._reason(verdict, rule, facts)
            for verdict, rule in sorted(findings)
            if verdict != "allowed" or rule not in spoken
        ]

    def _reason(self, verdict: Verdict, rule: str, facts: Mapping[str, str]) -> Reason:
        policy = self._policies.get(rule)
        mode = _RULES_MODE if policy is None else policy.mode
        enforced: Decision = "allow"
        if verdict in VIOLATIONS:
            enforced = "stop"
        elif verdict in ("discouraged", "unclear"):
            enforced = "warn"
        decision = enforced
        if mode == "observe":
            decision = "allow"
        elif mode == "warn" and enforced == "stop":
            decision = "warn"
        sentence = _SENTENCES[verdict].format(
            model=f"model {facts.get('model', 'unknown')}",
            workflow=f"workflow {facts['workflow']}" if "workflow" in facts else "a call without a workflow",
            approval=f"{facts['approval']!r} is none" if "approval" in facts else "none is named",
            fields=", ".join(policy.required_fields) if policy is not None else "its fields",
            question=_question(rule, facts),
        )
        why = "" if policy is None else f" ({policy.reason})"
        owner, contact = self._owner(policy, facts)
        return Reason(
            "policy",
            rule,
            decision,
            f"Policy {rule}: {sentence}{why}",
            verdict,
            would=enforced if GRAVITY[enforced] > GRAVITY[decision] else None,
            mode=mode,
            owner=owner,
            contact=contact,
        )

    def _owner(self, policy: Policy | None, facts: Mapping[str, str]) -> tuple[str | None, str | None]:
        if policy is not None:
            return policy.owner, policy.contact
        use_case = self._use_cases.get(facts.get("use_case", ""))
        return (None, None) if use_case is None else (use_case.owner, use_case.contact)


def _question(rule: str, facts: Mapping[str, str]) -> str:
    if rule == UNREGISTERED_USE_CASE:
        return f"use case {facts.get('use_case')!r} is not registered"
    if rule == UNKNOWN_DATA_CLASS:
        return f"data class {facts.get('data_class')!r} is named by no document"
    return "what it is for is not clear"
