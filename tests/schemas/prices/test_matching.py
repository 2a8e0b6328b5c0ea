"""The indexed search against genai-prices' own, over every provider and names that are likely to trip it."""

from __future__ import annotations

from genai_prices.data import providers
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.prices.matching import Models
from tests.schemas.prices.test_contract import clause_texts

MODELS = Models(providers)
NAMES = sorted({text.lower() for p in providers for m in p.models for text in (m.id, *clause_texts(m.match))})


def test_every_known_name_means_the_same_at_its_providers() -> None:
    for provider in providers:
        for model in provider.models:
            for name in (model.id.lower(), *(text.lower() for text in clause_texts(model.match))):
                assert MODELS.find(provider, name) is provider.find_model(name, all_providers=providers), name


@settings(max_examples=400, deadline=None)
@given(
    provider=st.sampled_from(providers),
    name=st.sampled_from(NAMES),
    prefix=st.sampled_from(["", "x", "us.", "openai/"]),
    suffix=st.sampled_from(["", "-20260101", "-2026-01-01", ":free", "-mini", "-20261399", "x"]),
)
def test_any_name_means_the_same_anywhere(provider: object, name: str, prefix: str, suffix: str) -> None:
    known = next(p for p in providers if p is provider)
    wanted = f"{prefix}{name}{suffix}"
    assert MODELS.find(known, wanted) is known.find_model(wanted, all_providers=providers)
