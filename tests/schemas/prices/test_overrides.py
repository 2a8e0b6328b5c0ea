"""Prices that people write: how they are checked, which one holds, and what the card says of them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import yaml
from pydantic import ValidationError

from schemas.prices.card import RateCard
from schemas.prices.overrides import OverrideConflictError, PriceOverride, date_overrides
from tests.schemas.prices.batches import NOW, Call, Row, Tokens, priced

EXAMPLE = """
kind: price
id: openai-gpt5-2026
provider: openai
model: gpt-5*
valid_from: 2026-11-01
rates: {input: "1.00", cache_read: "0.10", output: "8.00"}
long_context:
  - {above_input_tokens: 200000, input: "2.00", cache_read: "0.20", output: "12.00"}
source: contract 4711
"""


def override(name: str = "o", **fields: object) -> PriceOverride:
    """An override of gpt-5 at 1 and 2 dollars from 2026-01-01, but for what is given."""
    base: dict[str, object] = {
        "id": name,
        "model": "gpt-5",
        "valid_from": "2026-01-01",
        "source": "test",
        "rates": {"input": "1", "output": "2"},
    }
    return PriceOverride.model_validate({**base, **fields})


def row(call: Call, *overrides: PriceOverride) -> Row:
    (only,) = priced(RateCard.compile(overrides), call)
    return only


def rates(usd: str) -> dict[str, str]:
    return {"input": usd, "output": "0"}


MILLION = Tokens(input=1_000_000)
USD = 1_000_000_000


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_example_from_yaml() -> None:
    read = PriceOverride.model_validate(yaml.safe_load(EXAMPLE))
    assert read.valid_from == datetime(2026, 11, 1, tzinfo=UTC)
    assert PriceOverride.model_validate_json(read.model_dump_json(exclude_none=True)) == read
    below = row(Call("gpt-5-mini", "openai", Tokens(200_000, cache_read=100_000, output=1_000)), read)
    above = row(Call("gpt-5-mini", "openai", Tokens(200_001, cache_read=100_000, output=1_000)), read)
    assert below.parts() == (100_000_000, 10_000_000, 0, 8_000_000)
    assert above.parts() == (200_002_000, 20_000_000, 0, 12_000_000)
    assert (above.long_context, above.price_status) == (True, "priced")
    assert above.price_key == "override:openai-gpt5-2026:openai/gpt-5*"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rates": {"input": 0.1, "output": "2"}}, "write it in quotes"),
        ({"rates": {"input": "-1", "output": "2"}}, "greater than or equal to 0"),
        ({"rates": {"input": "9001", "output": "2"}}, "9001 USD per million tokens is more than 9000"),
        ({"rates": {"input": "0.0000000000000001", "output": "2"}}, "more than 15 decimals"),
        ({"rates": {"input": "1"}}, "Field required"),
        ({"rates": {"input": "1", "output": "2", "cache_write_1h": "3"}}, "cache_write has none"),
        ({"rates": {"input": "1", "output": "2", "inputs": "3"}}, "Extra inputs"),
        ({"model": "*gpt"}, "should match pattern"),
        ({"model": "*"}, "should match pattern"),
        ({"context": "overnight"}, "'standard', 'batch'"),
        ({"valid_to": "2025-01-01"}, "is not after valid_from"),
        ({"valid_from": NOW.replace(tzinfo=None)}, "has no time zone"),
        (
            {"long_context": [{"above_input_tokens": 10, "input": "1", "output": "2", "cache_read": "3"}]},
            "name the same",
        ),
        (
            {"long_context": [{"above_input_tokens": n, "input": "1", "output": "2"} for n in (20, 10)]},
            "must rise",
        ),
    ],
)
def test_mistakes_are_refused_by_name(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        override("o", **fields)


def test_whole_numbers_and_dates_are_exact_as_they_are() -> None:
    read = override(rates={"input": 3, "output": Decimal("0.1")}, valid_from=date(2026, 1, 1))
    assert (read.rates.input, read.rates.output) == (Decimal(3), Decimal("0.1"))


def test_override_holds_from_its_first_to_before_its_last_moment() -> None:
    one = override(valid_from="2026-02-01", valid_to="2026-03-01T12:00:00Z", rates=rates("7"))
    tick = timedelta(microseconds=1)
    start, end = at("2026-02-01"), at("2026-03-01T12:00:00")
    calls = [Call("gpt-5", "openai", MILLION, moment) for moment in (start - tick, start, end - tick, end)]
    costs = [each.cost_nanousd for each in priced(RateCard.compile([one]), *calls)]
    assert costs == [1_250_000_000, 7 * USD, 7 * USD, 1_250_000_000]


def test_later_price_covers_an_open_one_while_it_holds() -> None:
    open_one = override("a", rates=rates("5"))
    promotion = override("b", rates=rates("3"), valid_from="2026-05-01", valid_to="2026-06-01")
    card = RateCard.compile([promotion, open_one])
    moments = [at("2026-04-30"), at("2026-05-01"), at("2026-06-01")]
    costs = [
        each.cost_nanousd for each in priced(card, *(Call("gpt-5", "openai", MILLION, moment) for moment in moments))
    ]
    assert costs == [5 * USD, 3 * USD, 5 * USD]


def test_two_prices_for_one_moment_are_refused_by_name() -> None:
    ended = override("a", valid_to="2026-06-01")
    with pytest.raises(OverrideConflictError, match=r"'a' and 'b' both price \*/gpt-5 \(standard\) from 2026-05-01"):
        date_overrides([override("b", valid_from="2026-05-01"), ended])
    with pytest.raises(OverrideConflictError, match="'a' and 'b'"):
        date_overrides([override("a"), override("b", model="GPT-5")])
    date_overrides([ended, override("b", valid_from="2026-06-01"), override("c", context="batch")])


def test_the_more_specific_override_wins_in_any_order() -> None:
    overrides = [
        override("begin", model="gpt-*", rates=rates("1")),
        override("longer", model="gpt-5*", rates=rates("2")),
        override("whole", rates=rates("3")),
        override("provider", provider="azure.ai.openai", rates=rates("4")),
        override("variant", model="gpt-5-2025-08-07", rates=rates("5")),
    ]
    wanted = {
        Call("gpt-4o", "openai", MILLION): 1,
        Call("gpt-5-mini", "openai", MILLION): 2,
        Call("gpt-5", "openai", MILLION): 3,
        Call("gpt-5", "azure", MILLION): 4,
        Call("gpt-5", "openai", MILLION, response_model="gpt-5-2025-08-07"): 5,
    }
    hashes = set()
    for first in range(len(overrides)):
        order = overrides[first:] + overrides[:first]
        card = RateCard.compile(order)
        hashes.add(card.sha256)
        costs = [each.cost_nanousd for each in priced(card, *wanted)]
        assert costs == [usd * USD for usd in wanted.values()]
    assert len(hashes) == 1


def test_override_of_a_model_covers_the_dated_names_that_mean_it() -> None:
    assert row(Call("gpt-5-2025-08-07", None, MILLION), override(provider="openai")).cost_nanousd == USD


def test_override_prices_what_nobody_else_knows() -> None:
    own = override(provider="our-gpus", model="llama-*", rates={"input": "0", "output": "0"})
    known = row(Call("llama-in-house", "our-gpus"), own)
    assert (known.cost_nanousd, known.price_status, known.provisional_nanousd) == (0, "priced", 0)
    assert row(Call("llama-in-house", "their-gpus"), own).price_status == "unpriced"


def test_contexts_of_overrides() -> None:
    standard, batch, anything = (
        override("s", rates=rates("3")),
        override("b", context="batch", rates=rates("2")),
        override("a", context="any", rates=rates("1")),
    )
    call = Call("gpt-5", "openai", MILLION, tier="batch")
    told = [(one.cost_nanousd, one.price_context, one.price_note) for one in (
        row(call, standard, batch, anything),
        row(call, standard, anything),
        row(call, standard),
        row(Call("gpt-5", "openai", MILLION, at("2026-06-01"), tier="flex"), standard),
        row(Call("gpt-5", "openai", MILLION, tier="typo"), standard),
    )]  # fmt: skip
    assert told == [
        (2 * USD, "batch", None),
        (1 * USD, "batch", None),
        (625_000_000, "batch", None),  # the public batch price is nearer to what was asked than our standard one
        (3 * USD, "standard", "context_unknown"),
        (3 * USD, "standard", "context_unknown"),
    ]


def test_missing_override_rates_are_said() -> None:
    cached = Tokens(input=1_000, cache_read=500, cache_write=100, cache_write_1h=50)
    told = row(Call("gpt-5", "openai", cached), override())
    assert (told.price_status, told.price_note, told.cost_nanousd) == (
        "fallback",
        "cache_read_at_input_rate",
        1_000_000,
    )


def test_version_and_hash() -> None:
    plain, one = RateCard.compile(), RateCard.compile([override()])
    assert one.version == plain.version.replace("overrides:0", "overrides:1")
    assert len({plain.sha256, one.sha256, RateCard.compile([override(rates=rates("1"))]).sha256}) == 3
    assert RateCard.compile([override(note="seen", source="another")]).sha256 == one.sha256
    assert one.label == f"{one.version}#{one.sha256[:12]}"


def test_hash_is_the_same_in_another_process() -> None:
    code = "from schemas.prices.card import RateCard; print(RateCard.compile().sha256)"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert printed == {RateCard.compile().sha256}
