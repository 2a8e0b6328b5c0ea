"""The SDK's values: what is wrong is said when they are made, before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from schemas.avro_schemas import avro_schema
from schemas.decoding import Decoder
from schemas.framing import frame_single_object
from schemas.outcomes import OUTCOME_COLUMNS
from schemas.usage import CLOSED_SETS, MAX_STRING_BYTES, MAX_TOKENS, USAGE_COLUMNS
from sources.reporter import OutcomeEvent, UsageEvent
from sources.reporter.encoding import EncodedEvents
from sources.reporter.outcome_event import encode_outcomes
from sources.reporter.usage_event import encode_usage

NOON = datetime(2026, 3, 4, 12, 0, 0, 5, tzinfo=UTC)


def usage(**fields: Any) -> UsageEvent:
    return UsageEvent.model_validate({"model": "gpt-4o", "input_tokens": 100, "output_tokens": 10, **fields})


def rows_of(encoded: EncodedEvents, event: Literal["usage_event", "outcome_event"]) -> list[dict[str, Any]]:
    """As the pipeline reads them."""
    values = [frame_single_object(avro_schema(event).crc64, datum) for datum in encoded.datums]
    decoded = Decoder(event).decode(values)
    assert decoded.failures == []
    rows: list[dict[str, Any]] = decoded.table.to_pylist()
    return rows


def test_fields_are_those_of_the_contract() -> None:
    assert list(UsageEvent.model_fields) == USAGE_COLUMNS.names
    renamed = {"value_usd": "value_nanousd", "baseline_cost_usd": "baseline_cost_nanousd"}
    assert [renamed.get(name, name) for name in OutcomeEvent.model_fields] == OUTCOME_COLUMNS.names


@pytest.mark.parametrize("name", CLOSED_SETS)
def test_closed_sets_are_those_of_the_contract(name: str) -> None:
    for value in CLOSED_SETS[name]:
        assert getattr(usage(**{name: value}), name) == value
    with pytest.raises(ValidationError, match=name):
        usage(**{name: "something else"})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"input_tokens": -1}, "greater than or equal to 0"),
        ({"input_tokens": MAX_TOKENS + 1}, "less than or equal to"),
        ({"input_tokens": "100"}, "valid integer"),
        ({"input_tokens": 1.5}, "valid integer"),
        ({"cache_read_tokens": 60, "cache_write_tokens": 41}, "= 101 is more than input_tokens = 100"),
        ({"cache_write_tokens": 5, "cache_write_1h_tokens": 6}, "= 6 is more than cache_write_tokens = 5"),
        ({"reasoning_tokens": 11}, "= 11 is more than output_tokens = 10"),
        ({"occurred_at": datetime(2026, 3, 4)}, "timezone"),  # noqa: DTZ001
        ({"occurred_at": datetime(1970, 1, 21, tzinfo=UTC)}, "before 2015"),
        ({"workflow": "x" * (MAX_STRING_BYTES + 1)}, "never content"),
        ({"model": ""}, "at least 1 character"),
        ({"prompt": "Dear model"}, "Extra inputs are not permitted"),
        ({"tags": {f"t{n}": "v" for n in range(33)}}, "at most 32"),
        ({"meters": {"images": -1}}, "greater than or equal to 0"),
    ],
)
def test_a_wrong_usage_event_cannot_be_made(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        usage(**fields)


def test_usage_columns_hold_what_was_given() -> None:
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))
    events = [usage(event_id="a", occurred_at=berlin, source="s", meters={"images": 2}, tags={"k": "v"}), usage()]
    rows = rows_of(encode_usage(events, "reporter", [1, 1_700_000_000_000_000]), "usage_event")
    assert rows[0]["occurred_at"] == NOON
    assert (rows[0]["source"], rows[1]["source"]) == ("s", "reporter")
    assert rows[1]["occurred_at"] == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (rows[0]["meters"], rows[0]["tags"]) == ([("images", 2)], [("k", "v")])
    assert len(rows[1]["event_id"]) == 32


def test_money_is_exact_or_refused() -> None:
    def outcome(value: object) -> OutcomeEvent:
        return OutcomeEvent.model_validate(
            {"team_id": "t", "use_case": "u", "kind": "ticket_resolved", "succeeded": True, "value_usd": value}
        )

    rows = rows_of(encode_outcomes([outcome(Decimal("0.100000001"))], "s", [1_700_000_000_000_000]), "outcome_event")
    assert rows[0]["value_nanousd"] == 100_000_001
    for wrong, says in ((0.1, "Decimal"), (Decimal("0.0000000001"), "round it"), (Decimal("NaN"), "finite")):
        with pytest.raises(ValidationError, match=says):
            outcome(wrong)
