"""Findings for tests, with everything defaulted that a test does not speak of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from streams.agents.spikes.finding import Finding, Series, Usage
from tests.streams.agents.samples import us

AT: Final = us("2026-11-20T03:05:00+00:00")
MINUTE: Final = 60_000_000


def usage(
    calls: float, inputs: float = 3000, outputs: float = 200, cached: float = 0.5, errors: float = 0.02, **more: Any
) -> Usage:
    """Calls of so many tokens each, of one class, at 3,000 nano-USD an input token."""
    cost = calls * (inputs * (1 - 0.9 * cached) + 5 * outputs) * 3000
    made = Usage(
        calls,
        errors * calls,
        calls * inputs,
        calls * inputs * cached,
        calls * outputs,
        cost,
        {"standard": (calls * (inputs + outputs), cost)},
    )
    return replace(made, **more)


def finding(before: Usage, after: Usage, **more: Any) -> Finding:
    """A rise of a quarter of an hour in team search."""
    fields: dict[str, Any] = {
        "series": Series("search"),
        "measure": "cost",
        "why": "began",
        "since_us": AT,
        "start_us": AT,
        "end_us": AT + 15 * MINUTE,
        "before": before,
        "after": after,
        "parts": {},
        "rate": 4 * (after.cost - before.cost),
        "confidence": "high",
        "historical": False,
        "revision": 0,
    }
    return Finding(**(fields | more))
