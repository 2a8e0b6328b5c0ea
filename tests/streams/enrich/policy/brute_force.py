"""One event and plain documents in; verdict, rule and retention class out: the rules as they are written for people,
event by event, without any code of the product's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

GRAVEST_FIRST = (
    "forbidden",
    "unapproved",
    "needs_review",
    "missing_fields",
    "unclear",
    "discouraged",
    "excepted",
    "allowed",
)


class Found(NamedTuple):
    verdict: str | None
    rule: str | None
    retention: str | None


class Documents(NamedTuple):
    """Control records as the JSON that people would write."""

    policies: list[dict[str, Any]]
    use_cases: list[dict[str, Any]]
    models: list[dict[str, Any]]
    departments: list[dict[str, Any]]
    exceptions: list[dict[str, Any]]
    #: Ids of principals who may decide.
    reviewers: set[str]


def find(event: dict[str, Any], documents: Documents) -> Found:
    """`event` by field, as it stands after attribution; `at` is its time."""
    meant = [one for one in documents.policies if _is_meant(event, one.get("when", {}), documents)]
    meant.sort(key=lambda one: str(one["id"]))
    found = [(verdict, policy["id"]) for policy in meant for verdict in _by_policy(event, policy, documents)]
    found += _by_registers(event, documents)
    lifted = min((one["id"] for one in documents.exceptions if _is_permitted(event, one, documents)), default=None)
    if lifted is not None:
        found = [("excepted", lifted) if one[0] in ("forbidden", "discouraged") else one for one in found]
    retention = next((one["retention_class"] for one in meant if "retention_class" in one), None)
    for verdict in GRAVEST_FIRST:
        rules = sorted(rule for its, rule in found if its == verdict)
        if rules:
            return Found(verdict, rules[0], retention)
    return Found(None, None, retention)


def _by_policy(event: dict[str, Any], policy: dict[str, Any], documents: Documents) -> Iterable[str]:
    yield "allowed"
    if "allow" in policy and not _is_chosen(event, policy["allow"]):
        yield "forbidden"
    if "forbid" in policy and _is_chosen(event, policy["forbid"]):
        yield "forbidden"
    if "discourage" in policy and _is_chosen(event, policy["discourage"]):
        yield "discouraged"
    if policy.get("needs_approval") and not _is_approved(event, documents):
        yield "unapproved"
    use_case = _named(documents.use_cases, event["use_case"])
    alone = use_case is not None and use_case.get("automation") == "acts_alone"
    if "unattended" in policy and alone and event["workflow"] not in policy["unattended"]:
        yield "needs_review"
    for field in policy.get("required_fields", ()):
        if event.get(field) in (None, {}) or (field == "team_id" and event["team_id"] == "unattributed"):
            yield "missing_fields"


def _by_registers(event: dict[str, Any], documents: Documents) -> Iterable[tuple[str, str]]:
    """What the registers of use cases, data classes and models say."""
    use_case, data_class = event["use_case"], event["data_class"]
    if documents.use_cases and use_case is not None and _named(documents.use_cases, use_case) is None:
        yield "unclear", "(use_case)"
    classes = {one["data_class"] for one in documents.use_cases if "data_class" in one}
    for policy in documents.policies:
        classes |= set(policy.get("when", {}).get("data_class", ()))
    for model in documents.models:
        classes |= set(model.get("approved_for", ()))
    if data_class is None:
        return
    if classes and data_class not in classes:
        yield "unclear", "(data_class)"
    fitting = [one for one in documents.models if _fits(one["id"], event["model"])]
    fitting.sort(key=lambda one: (one["id"].endswith("*"), -len(one["id"])))
    if fitting and fitting[0].get("approved_for"):
        known = data_class in fitting[0]["approved_for"]
        yield "allowed" if known else "forbidden", f"model/{fitting[0]['id']}"


def _is_meant(event: dict[str, Any], when: dict[str, Any], documents: Documents) -> bool:
    for selector, accepted in when.items():
        if selector == "department":
            if not set(_upward(event["department"], documents)) & set(accepted):
                return False
        elif event["team_id" if selector == "team" else selector] not in accepted:
            return False
    return True


def _upward(department: str | None, documents: Documents) -> Iterable[str]:
    while department is not None:
        yield department
        one = _named(documents.departments, department)
        department = None if one is None else one.get("parent")


def _is_chosen(event: dict[str, Any], choice: dict[str, Any]) -> bool:
    return any(_fits(one, event["model"]) for one in choice.get("models", ())) or any(
        event["provider"] is not None and _fits(one, event["provider"]) for one in choice.get("providers", ())
    )


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern[-1] == "*" else name == pattern


def _is_in_force(event: dict[str, Any], exception: dict[str, Any], documents: Documents) -> bool:
    decision = exception.get("decision")
    return (
        decision is not None
        and decision["verdict"] == "approved"
        and decision["by"] in documents.reviewers
        and datetime.fromisoformat(exception["valid_from"])
        <= event["at"]
        < datetime.fromisoformat(exception["valid_to"])
    )


def _is_in_scope(event: dict[str, Any], exception: dict[str, Any]) -> bool:
    scope = exception["permits"]["scope"]
    names = {"team": "team_id", "project": "project_id"}
    return all(event[names.get(selector, selector)] == value for selector, value in scope.items())


def _is_approved(event: dict[str, Any], documents: Documents) -> bool:
    exception = _named(documents.exceptions, event["approval"])
    return (
        exception is not None
        and "permits" in exception
        and _is_in_force(event, exception, documents)
        and _is_in_scope(event, exception)
    )


def _is_permitted(event: dict[str, Any], exception: dict[str, Any], documents: Documents) -> bool:
    return (
        "permits" in exception
        and _is_in_force(event, exception, documents)
        and _is_in_scope(event, exception)
        and _is_chosen(event, exception["permits"])
    )


def _named(records: list[dict[str, Any]], name: str | None) -> dict[str, Any] | None:
    return next((one for one in records if one["id"] == name), None)
