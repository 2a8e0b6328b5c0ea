"""Policies in every mode, and that none hides behind a graver one that is only observed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.control.budgets import Mode
from schemas.control.models import CatalogueModel
from schemas.control.policies import Choice, Policy, When
from schemas.control.records import ControlRecord
from schemas.control.use_cases import UseCase
from streamgauge.checking.answer import Answer, Decision
from streamgauge.checking.config import CheckConfig
from streamgauge.checking.judge import answer
from streamgauge.checking.question import Question
from tests.streamgauge.checking.support import NOW_US, known_of

CALL = Question(team_id="search", model="toy-1", explain=True)


def policy(name: str, mode: Mode, **rules: object) -> Policy:
    return Policy.model_validate({"id": name, "mode": mode, "owner": "Ada", "reason": "because"} | rules)


def ask(*records: ControlRecord, question: Question = CALL) -> Answer:
    return answer(question, known_of(records), CheckConfig(), NOW_US)


@pytest.mark.parametrize(
    ("mode", "decision", "would"), [("observe", "allow", "stop"), ("warn", "warn", "stop"), ("enforce", "stop", None)]
)
@pytest.mark.parametrize(
    "rules", [{"forbid": Choice(models=("toy-*",))}, {"needs_approval": True}, {"required_fields": ("workflow",)}]
)
def test_a_violation_in_every_mode(rules: dict[str, object], mode: Mode, decision: Decision, would: Decision) -> None:
    [reason] = ask(policy("p", mode, **rules)).reasons
    assert (reason.decision, reason.would, reason.owner) == (decision, would, "Ada")


def test_an_enforced_policy_behind_a_graver_observed_one_still_stops() -> None:
    told = ask(policy("a", "observe", forbid=Choice(models=("toy-*",))), policy("b", "enforce", needs_approval=True))
    assert told.decision == "stop"
    assert [(reason.id, reason.state) for reason in told.reasons] == [("b", "unapproved"), ("a", "forbidden")]


def test_fields_that_are_known_only_afterwards_are_not_missed_before() -> None:
    told = ask(policy("p", "enforce", required_fields=("latency_ms", "response_model", "team_id", "user_id")))
    assert told.decision == "stop", "but the person is known before"
    question = replace(CALL, user_id="ann")
    assert ask(
        policy("p", "enforce", required_fields=("latency_ms", "team_id", "user_id")), question=question
    ).decision == ("allow")


def test_advice_questions_and_models_warn() -> None:
    question = replace(CALL, use_case="unheard", data_class="secret")
    told = ask(
        policy("p", "enforce", discourage=Choice(models=("toy-1",))),
        UseCase(id="known", owner="Ada", data_class="secret"),
        CatalogueModel(id="toy-*", model_class="small", approved_for=("public",)),
        policy("q", "enforce", when=When(team=("sales",)), forbid=Choice(models=("toy-*",))),
        question=question,
    )
    assert told.decision == "warn"
    assert {(reason.id, reason.state) for reason in told.reasons} == {
        ("p", "discouraged"),
        ("(use_case)", "unclear"),
        ("model/toy-*", "forbidden"),
    }
