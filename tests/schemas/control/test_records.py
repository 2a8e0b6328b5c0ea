"""Every kind of record: its key, its canonical bytes, and the way back."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

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
        "verdict": "forbidden",
        "owner": "Ada",
        "reason": "cost",
    },
    "exception/launch": {
        "kind": "exception",
        "id": "launch",
        "justification": "launch week",
        "expected_impact": "more calls",
        "requested_by": "Ada",
        **MOMENTS,
    },
    "activity/load-test": {
        "kind": "activity",
        "id": "load-test",
        "scope": {"team": "search"},
        "what": "load test",
        "owner": "Ada",
        "starts_at": "2026-01-01",
        "ends_at": "2026-01-02",
    },
}


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
