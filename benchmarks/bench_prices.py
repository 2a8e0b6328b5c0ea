"""A synthetic batch in, events per second of `schemas.prices.pricing.price` out: `python -m benchmarks.bench_prices`.

The batch is of 100,000 calls to 12 models in three service tiers, half with cache, one in twenty beyond 200,000 tokens.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pyarrow as pa

from schemas.prices.card import RateCard
from schemas.prices.columns import CallColumns
from schemas.prices.decompose import TokenCounts
from schemas.prices.pricing import price

ROWS = 100_000
ROUNDS = 30
MODELS = (
    ("openai", "gpt-5"),
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-4o"),
    ("azure.ai.openai", "gpt-5"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-4-6"),
    ("anthropic", "claude-haiku-4-5"),
    ("gcp.gemini", "gemini-2.5-pro"),
    ("gcp.gemini", "gemini-2.5-flash"),
    ("mistral_ai", "mistral-large-latest"),
    ("x_ai", "grok-4"),
    ("our-own-gpu", "llama-in-house"),
)


def calls(rows: int, seed: int = 7) -> CallColumns:
    """A batch of ten minutes; the same for the same seed."""
    random = np.random.default_rng(seed)
    model = random.integers(0, len(MODELS), rows)
    read = np.where(random.random(rows) < 0.5, random.integers(0, 20_000, rows), 0)
    write = np.where(random.random(rows) < 0.2, random.integers(0, 5_000, rows), 0)
    long = np.where(random.random(rows) < 0.05, 200_000, 0)
    output = random.integers(1, 4_000, rows)
    tiers = np.array([None, "standard", "batch"], object)[random.integers(0, 3, rows)]
    return CallColumns(
        provider=pa.array([MODELS[index][0] for index in model]),
        model=pa.array([MODELS[index][1] for index in model]),
        service_tier=pa.array(tiers),
        response_model=pa.nulls(rows, pa.utf8()),
        occurred_at=1_795_260_000_000_000 + np.sort(random.integers(0, 600_000_000, rows)),
        tokens=TokenCounts(
            input=read + write + random.integers(1, 9_000, rows) + long,
            cache_read=read,
            cache_write=write,
            cache_write_1h=write // 2,
            output=output,
            reasoning=output // 3,
        ),
    )


def main() -> None:
    """Print the median of ROUNDS rounds per encoding, and what compiling and the first batch cost."""
    batch, started = calls(ROWS), time.perf_counter()
    card = RateCard.compile()
    compiled = time.perf_counter()
    price(card, batch)
    first = time.perf_counter()
    print(f"{card.label}: compiled in {compiled - started:.2f} s, first batch {first - compiled:.3f} s")
    encoded = replace(
        batch,
        provider=batch.provider.dictionary_encode(),
        model=batch.model.dictionary_encode(),
        service_tier=None if batch.service_tier is None else batch.service_tier.dictionary_encode(),
    )
    for name, columns in (("plain strings", batch), ("dictionary-encoded", encoded)):
        seconds = []
        for _ in range(ROUNDS):
            # CPU time, so that other work on the machine does not show as waiting.
            before = time.process_time()
            price(card, columns)
            seconds.append(time.process_time() - before)
        median = float(np.median(seconds))
        print(f"{name}: {ROWS / median / 1e6:.1f} million events per CPU second ({median * 1e3:.1f} ms a batch)")


if __name__ == "__main__":
    main()
