"""Rules decide at once: all of a rule must be met, and denying ones are asked first."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.control.decisions import Decision, Evidence
from schemas.control.departments import Department
from schemas.control.directory import Team, TeamTerm
from schemas.control.use_cases import UseCase
from streamgauge.exceptions.rules import decide_by_rule, is_met
from tests.streamgauge.exceptions.people import NOW, grant, rule, snapshot

PERMIT = {"budget": None, "extra": None, "permits": {"scope": {"team": "search"}, "models": ["gpt-5"]}}
TICKET = {"evidence": [Evidence(kind="ticket", reference="OPS-1")]}


@pytest.mark.parametrize(
    ("of_rule", "of_grant", "met"),
    [
        ({}, {}, True),
        ({}, PERMIT, False),
        ({"permissions": True}, PERMIT, True),
        ({"permissions": True, "extra_share_at_most": 1}, PERMIT, False),
        ({"budgets": ["search-month"]}, {}, True),
        ({"budgets": ["offers-calls"]}, {}, False),
        ({"teams": ["search"]}, {}, True),
        ({"teams": ["offers"]}, {}, False),
        ({"stage": "production"}, {}, False),
        ({"days_at_most": 7}, {}, True),
        ({"days_at_most": 6}, {}, False),
        ({"extra_share_at_most": "0.1"}, {}, True),
        ({"extra_share_at_most": "0.1"}, {"extra": Decimal("100.01")}, False),
        ({"extra_share_above": "0.1"}, {}, False),
        ({"extra_share_above": "0.1"}, {"extra": Decimal("100.01")}, True),
        ({"evidence": ["ticket"]}, {}, False),
        ({"evidence": ["ticket"]}, TICKET, True),
        ({"evidence": ["ticket", "evaluation"]}, TICKET, False),
        ({"data_classes": ["public"]}, {"data_class": "public"}, True),
        ({"data_classes": ["public"]}, {"data_class": "secret"}, False),
        ({"data_classes": ["public"]}, {}, False),
        ({"budgets": ["gone"]}, {"budget": "gone"}, False),
    ],
)
def test_all_of_a_rule_must_be_met(of_rule: dict[str, Any], of_grant: dict[str, Any], met: bool) -> None:
    assert is_met(rule(**of_rule), grant(**of_grant), snapshot()) is met


def test_what_is_in_force_together_counts() -> None:
    """A share is of all extras at any time of the request, approved and counting; not of those before it."""
    by_rule = Decision(verdict="approved", by="rule/small", at=NOW, via="rule")
    others = [
        grant(id="same-time", extra=Decimal(60), decision=by_rule),
        grant(id="before", extra=Decimal(500), valid_from=NOW - timedelta(days=9), valid_to=NOW, decision=by_rule),
        grant(id="asked", extra=Decimal(500)),
        grant(id="by-nobody", extra=Decimal(500), decision=by_rule.model_copy(update={"by": "mallory"})),
    ]
    here = snapshot(rule(extra_share_at_most="0.1"), *others)
    assert decide_by_rule(grant(extra=Decimal(40)), here, NOW) is not None
    assert decide_by_rule(grant(extra=Decimal(41)), here, NOW) is None


def test_denying_rules_are_asked_first() -> None:
    here = snapshot(rule("a"), rule("z", "deny", days_at_most=7, reason="not now"))
    decision = decide_by_rule(grant(), here, NOW)
    assert decision is not None
    assert (decision.verdict, decision.by, decision.via, decision.note) == ("denied", "rule/z", "rule", "not now")
    longer = decide_by_rule(grant(valid_to=NOW + timedelta(days=8)), here, NOW)
    assert longer is not None
    assert (longer.verdict, longer.by) == ("approved", "rule/a")
    assert decide_by_rule(grant(), snapshot(), NOW) is None


def test_leaving_the_data_class_out_gains_nothing() -> None:
    """A use case's class counts where the request is silent, and beside one that it claims."""
    case = UseCase(id="claims", owner="ada", data_class="secret")
    here = snapshot(case, rule("deny", "deny", data_classes=["secret"]), rule("ok", data_classes=["public"]))
    wish = {**PERMIT, "permits": {"scope": {"use_case": "claims"}, "models": ["gpt-5"]}}
    for said in (None, "public"):
        asked = grant(**wish, data_class=said)
        assert is_met(rule("d", "deny", permissions=True, data_classes=["secret"]), asked, here)
        assert not is_met(rule("a", permissions=True, data_classes=["public"]), asked, here)


@pytest.mark.parametrize(
    ("of_rule", "scope", "denied", "approved"),
    [
        ({"teams": ["search"]}, {}, True, False),
        ({"teams": ["search"]}, {"use_case": "drafts"}, True, False),
        ({"teams": ["search"]}, {"department": "shop"}, True, False),
        ({"teams": ["search"]}, {"department": "online"}, True, False),
        ({"teams": ["search"]}, {"department": "finance"}, False, False),
        ({"teams": ["search"]}, {"team": "offers"}, False, False),
        ({"teams": ["search"]}, {"team": "search"}, True, True),
        ({"stage": "production"}, {}, True, False),
        ({"stage": "production"}, {"use_case": "drafts"}, False, False),
        ({"stage": "production"}, {"stage": "exploratory"}, False, False),
        ({"stage": "production"}, {"stage": "production"}, True, True),
    ],
)
def test_leaving_out_whom_a_permission_is_for_gains_nothing(
    of_rule: dict[str, Any], scope: dict[str, str], denied: bool, approved: bool
) -> None:
    """A wide permission holds for the team and stage that are denied; no rule approves more than it names."""
    here = snapshot(
        Department(id="shop", owner="Ada"),
        Department(id="online", parent="shop", owner="Ada"),
        Department(id="finance", owner="Ada"),
        Team(id="search", terms=(TeamTerm(department="online"),)),
        UseCase(id="drafts", owner="Ada", stage="exploratory"),
    )
    asked = grant(budget=None, extra=None, permits={"scope": scope, "models": ["gpt-5"]})
    found = [is_met(rule(permissions=True, verdict=verdict, **of_rule), asked, here) for verdict in ("deny", "approve")]
    assert found == [denied, approved]
