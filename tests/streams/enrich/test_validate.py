"""Each rule refuses its row with a code and a sentence; the neighbours pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schemas.decoding import Decoder
from schemas.usage import (
    MAX_FUTURE_US,
    MAX_METER,
    MAX_METERS,
    MAX_MILLISECONDS,
    MAX_STRING_BYTES,
    MAX_TAGS,
    MAX_TOKENS,
    MIN_OCCURRED_AT_US,
)
from streams.enrich.validate import validate
from tests.support.enrich import NOON_US, avro_value, event

LONG = "é" * (MAX_STRING_BYTES // 2 + 1)
CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"event_id": ""}, "bad_value", "event_id is empty"),
    ({"source": ""}, "bad_value", "source is empty"),
    ({"model": ""}, "bad_value", "model is empty"),
    ({"event_id": LONG}, "too_long", "event_id has 1026 bytes"),
    ({"workflow": LONG}, "too_long", "workflow has 1026 bytes"),
    ({"occurred_at": MIN_OCCURRED_AT_US - 1}, "too_early", "before 2015"),
    ({"occurred_at": NOON_US + MAX_FUTURE_US + 1}, "too_far_ahead", "2026-03-03T12:00:00+00:00 is more than a day"),
    ({"occurred_at": 2**63 - 1}, "too_far_ahead", f"{2**63 - 1} µs since the epoch"),
    ({"input_tokens": -1}, "negative_count", "input_tokens is -1"),
    ({"output_tokens": MAX_TOKENS + 1}, "absurd_count", f"output_tokens is {MAX_TOKENS + 1}, at most {MAX_TOKENS}"),
    ({"cache_read_tokens": 60, "cache_write_tokens": 60}, "broken_invariant", "is 120, more than input_tokens 100"),
    ({"cache_write_tokens": 5, "cache_write_1h_tokens": 6}, "broken_invariant", "cache_write_1h_tokens is 6"),
    ({"reasoning_tokens": 8}, "broken_invariant", "reasoning_tokens is 8, more than output_tokens 7"),
    ({"latency_ms": -1}, "negative_count", "latency_ms is -1"),
    ({"ttft_ms": MAX_MILLISECONDS + 1}, "absurd_count", "ttft_ms is 86400001"),
    ({"attempt": 0}, "bad_value", "attempt is 0, at least 1"),
    ({"prefix_tokens": -5}, "negative_count", "prefix_tokens is -5"),
    ({"reported_cost_nanousd": 10**15 + 1}, "absurd_count", "reported_cost_nanousd"),
    ({"status": "done"}, "bad_value", "status is 'done'; accepted are ok, error, cancelled, refused"),
    ({"stage": "{value}{0}"}, "bad_value", "stage is '{value}{0}'; accepted are"),
    ({"route_reason": "x"}, "bad_value", "route_reason is 'x'"),
    (
        {"tags": {"{size}": "x"}},
        "tag_not_allowed",
        "tag '{size}' is not on the allow-list (env); enrich.tag_keys adds it",
    ),
    ({"tags": {"env": LONG}}, "too_long", "tag 'env' has 513 characters"),
    ({"tags": {f"k{n}": "" for n in range(MAX_TAGS + 1)}}, "too_long", "tags has 33 entries"),
    ({"meters": {f"m{n}": 1 for n in range(MAX_METERS + 1)}}, "too_long", "meters has 33 entries"),
    ({"meters": {LONG: 1}}, "too_long", "meters has a key of 513 characters"),
    ({"meters": {"images": -1}}, "negative_count", "meter 'images' is -1"),
    ({"meters": {"images": MAX_METER + 1}}, "absurd_count", "meter 'images'"),
]


@pytest.mark.parametrize(("fields", "code", "sentence"), CASES)
def test_refused_alone(fields: dict[str, Any], code: str, sentence: str) -> None:
    good = {"tags": {"env": "x"}, "meters": {"images": 2}, "latency_ms": 3, "stage": "production"}
    values = [avro_value(event(0, **good)), avro_value(event(0, **fields)), avro_value(event(0))]
    table = Decoder("usage_event").decode(values).table
    refusals = validate(table, np.full(3, NOON_US), frozenset({"env"}))
    assert list(refusals.rows) == [1]
    found_code, found_sentence = refusals.rows[1]
    assert found_code == code
    assert sentence in found_sentence


def test_the_bounds_themselves_pass() -> None:
    at_bounds = event(
        0,
        event_id="x" * MAX_STRING_BYTES,
        occurred_at=NOON_US + MAX_FUTURE_US,
        input_tokens=MAX_TOKENS,
        cache_read_tokens=MAX_TOKENS,
        output_tokens=7,
        reasoning_tokens=7,
        latency_ms=MAX_MILLISECONDS,
        attempt=1,
        meters={"m": MAX_METER},
    )
    table = Decoder("usage_event").decode([avro_value(at_bounds)]).table
    assert validate(table, np.full(1, NOON_US), frozenset()).rows == {}


def test_the_first_rule_broken_names_the_rejection() -> None:
    table = Decoder("usage_event").decode([avro_value(event(0, model="", input_tokens=-1, status="?"))]).table
    assert validate(table, np.full(1, NOON_US), frozenset()).rows[0] == ("bad_value", "model is empty")


def test_no_rows() -> None:
    assert validate(Decoder("usage_event").decode([]).table, np.zeros(0, np.int64), frozenset()).rows == {}
