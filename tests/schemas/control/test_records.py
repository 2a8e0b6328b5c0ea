"""Every kind of record: its key, its canonical bytes, and the way back."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from schemas.control.exceptions import ExceptionGrant
from schemas.control.records import EVALUATED_KINDS, ControlRecord, dump_record, parse_record, record_key
from tests.schemas.control.sentences import accepted

MOMENTS = {"valid_from": "2026-01-01", "valid_to": "2026-02-01"}
SAMPLES: dict[str, dict[str, Any]] = {
    "team/search": {"kind": "team", "id": "search", "terms": [{"department": "product", **MOMENTS}]},
    "sender/user/5e884898da28": {
        "kind": "sender",
        "sender": "user",
        "id": "5e884898da28",
        "terms": [{"team": "search"}],
    },
    "sender/source/gateway": {"kind": "sender", "sender": "source", "id": "gateway", "terms": [{"team": "search"}]},
    "use_case/triage": {"kind": "use_case", "id": "triage", "owner": "Ada", "outcome_kinds": ["ticket_resolved"]},
    "model/gpt-5*": {"kind": "model", "id": "gpt-5*", "model_class": "frontier"},
    "budget/search-month": {"kind": "budget", "id": "search-month", "limit": "500", "period": "month"},
    "price/contract": {
        "kind": "price",
        "id": "contract",
        "model": "gpt-5",
        "valid_from": "2026-01-01",
        "rates": {"input": "1.25", "output": "10"},
        "source": "contract 7",
    },
    "policy/no-frontier": {
        "kind": "policy",
        "id": "no-frontier",
        "when": {"data_class": ["secret"], "stage": ["production"]},
        "forbid": {"models": ["gpt-5*"]},
        "owner": "Ada",
        "reason": "cost",
    },
    "exception/launch": {
        "kind": "exception",
        "id": "launch",
        "budget": "search-month",
        "extra": "200",
        "justification": "launch week",
        "expected_impact": "more calls",
        "evidence": [{"kind": "ticket", "reference": "OPS-7"}],
        "requested_by": "ada",
        "requested_at": "2025-12-20",
        "decision": {"verdict": "approved", "by": "bo", "at": "2025-12-21", "via": "review"},
        **MOMENTS,
    },
    "exception_rule/small": {
        "kind": "exception_rule",
        "id": "small",
        "verdict": "approve",
        "extra_share_at_most": "0.2",
        "days_at_most": 14,
        "evidence": ["ticket"],
        "owner": "Ada",
        "reason": "small extras are cheaper than meetings",
    },
    "acknowledgement/search-month": {
        "kind": "acknowledgement",
        "id": "search-month",
        "period_start": "2026-01-01",
        "decision": {
            "verdict": "acknowledged",
            "by": "ada",
            "at": "2026-01-20",
            "via": "signature",
            "signature": "c2ln",
        },
    },
    "department/product": {"kind": "department", "id": "product", "parent": "company", "owner": "Ada"},
    "principal/ada": {"kind": "principal", "id": "ada", "rights": ["manager"], "teams": ["search"]},
    "activity/load-test": {
        "kind": "activity",
        "id": "load-test",
        "scope": {"team": "search"},
        "what": "load test",
        "owner": "Ada",
        "starts_at": "2026-01-01",
        "ends_at": "2026-01-02",
    },
    "feedback/spike-1": {
        "kind": "feedback",
        "id": "spike-1",
        "said": "expected",
        "by": "ada",
        "at": "2026-01-02",
        "note": "the quarter's end",
    },
}


@pytest.mark.parametrize(
    ("key", "changes", "sentence"),
    [
        ("exception/launch", {"permits": {"scope": {}, "models": ["gpt-5"]}}, "about a budget or about permits"),
        ("exception/launch", {"budget": None, "extra": None}, "about a budget or about permits"),
        ("exception/launch", {"extra": None}, "budget and extra belong together"),
        ("exception/launch", {"extra": "0"}, "greater than 0"),
        ("exception/launch", {"valid_to": "2026-01-01"}, "is not after valid_from"),
        (
            "exception/launch",
            {"decision": {"verdict": "acknowledged", "by": "bo", "at": "2026-01-01", "via": "review"}},
            "approved, denied or revoked",
        ),
        (
            "exception/launch",
            {"budget": None, "extra": None, "permits": {"scope": {"team": "search"}}},
            "a permission names models or providers",
        ),
        (
            "exception/launch",
            {"budget": None, "extra": None, "permits": {"scope": {"user": "ada"}, "models": ["gpt-5"]}},
            "name their team or role",
        ),
        ("policy/no-frontier", {"forbid": None}, "a policy says something"),
        ("principal/ada", {"rights": []}, "at least 1 item"),
        ("budget/search-month", {"starts_at": "2026-01-01"}, "belong to period span, not to period month"),
        ("budget/search-month", {"period": "span", "starts_at": "2026-01-01"}, "needs starts_at and ends_at"),
        (
            "budget/search-month",
            {"period": "span", "starts_at": "2026-02-01", "ends_at": "2026-01-01"},
            "is not after starts_at",
        ),
        (
            "budget/search-month",
            {"period": "span", "starts_at": "2026-01-01T00:07:00Z", "ends_at": "2026-02-01"},
            "full quarter of an hour",
        ),
    ],
    ids=str,
)
def test_what_contradicts_itself_is_refused(key: str, changes: dict[str, Any], sentence: str) -> None:
    given = {name: value for name, value in (SAMPLES[key] | changes).items() if value is not None}
    with pytest.raises(ValidationError, match=sentence):
        accepted(given)


def test_a_decision_is_signed_with_all_that_it_is_about() -> None:
    grant = accepted(SAMPLES["exception/launch"])
    assert isinstance(grant, ExceptionGrant)
    assert grant.decision is not None
    signed = grant.decision.signed_bytes(grant)
    other = accepted(SAMPLES["exception/launch"] | {"extra": "2000"})
    assert isinstance(other, ExceptionGrant)
    assert grant.decision.signed_bytes(other) != signed
    assert grant.decision.model_copy(update={"verdict": "denied"}).signed_bytes(grant) != signed
    assert grant.decision.model_copy(update={"signature": "c2ln"}).signed_bytes(grant) == signed
    assert grant.decision.signed_bytes(grant.model_copy(update={"decision": None})) == signed


def test_every_kind_has_a_sample() -> None:
    kinds = {get_args(model.model_fields["kind"].annotation)[0] for model in get_args(ControlRecord)}
    assert {sample["kind"] for sample in SAMPLES.values()} == kinds
    assert set(EVALUATED_KINDS) <= kinds


@pytest.mark.parametrize(("key", "sample"), SAMPLES.items(), ids=list(SAMPLES))
def test_key_and_round_trip(key: str, sample: dict[str, Any]) -> None:
    record = accepted(sample)
    assert record_key(record) == key
    assert parse_record(dump_record(record)) == record
    assert dump_record(parse_record(dump_record(record))) == dump_record(record)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"limit": "100"}, {"limit": "100.0"}),
        ({"limit": "100"}, {"limit": 100}),
        ({"limit": "100"}, {"limit": "1e2"}),
        ({"levels": {"warning": 1}}, {"levels": {"warning": "1.00"}}),
        ({"note": " text "}, {"note": "text"}),
    ],
    ids=["zero", "number", "exponent", "levels", "blanks"],
)
def test_equal_records_have_equal_bytes(one: dict[str, Any], other: dict[str, Any]) -> None:
    """What did not change is not published again."""
    base = SAMPLES["budget/search-month"]
    assert dump_record(accepted(base | one)) == dump_record(accepted(base | other))


def test_equal_moments_have_equal_bytes() -> None:
    base = SAMPLES["exception/launch"]
    bytes_ = {
        dump_record(accepted(base | {"valid_from": text}))
        for text in ("2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00+02:00")
    }
    assert len(bytes_) == 1


def test_an_unknown_kind_is_told_what_there_is() -> None:
    with pytest.raises(
        ValidationError, match="'nope' found using 'kind' does not match any of the expected tags: 'team'"
    ):
        parse_record('{"kind": "nope"}')


def test_records_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="Instance is frozen"):
        setattr(accepted(SAMPLES["budget/search-month"]), "limit", 1)  # noqa: B010
