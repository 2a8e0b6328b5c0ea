"""In: a scope and spans of event time. Out: what single calls tell of a spike in it, of calls below offsets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sinks.database import Database, read_sql
from sinks.recovery.bases import SELECTORS

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scoped:
    """What all questions have in common: the scope, and source offsets."""

    selectors: Mapping[str, tuple[str, ...]]
    below: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Spans:
    """The spike's span and the one that tells what use is made of, in µs. What was spent before counts `scale` times;
    `rise`: nano-USD above what is usual, more than 0.
    """

    now: Span
    before: Span
    scale: float
    rise: float


@dataclass(frozen=True, slots=True)
class Whole:
    """All calls of a span; amounts in nano-USD."""

    calls: int
    errors: int
    retries: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    cost: int
    growing_cost: int
    exploratory_cost: int


@dataclass(frozen=True, slots=True)
class Carrier:
    """Nano-USD of one value of a dimension."""

    dimension: str
    value: str
    now: int
    before: int


@dataclass(frozen=True, slots=True)
class Concentrated:
    """As the columns of `spike_concentration.sql`."""

    kind: str
    number: int
    first_share: float
    carriers: int
    most_calls: int
    most_calls_before: int


@dataclass(frozen=True, slots=True)
class Key:
    """As the columns of `spike_key.sql`; nano-USD."""

    now: int
    before: int
    new_sources: int
    new_clients: int
    new_cost: int


class SpikeCalls:
    """`log`: identity of the log that offsets count in. Raises the driver's errors. Not thread-safe."""

    def __init__(self, database: Database, log: str) -> None:
        self._database, self._log = database, log

    def whole(self, scoped: Scoped, span: Span) -> Whole:
        """Zeros where nobody called."""
        (row,) = self._ask("spike_sums.sql", scoped, {"from": span[0], "to": span[1]})
        return Whole(*(int(value) for value in row))

    def carriers(self, scoped: Scoped, spans: Spans) -> list[Carrier]:
        """Values of each dimension, those that rose most first."""
        rows = self._ask("spike_carriers.sql", scoped, _given(spans))
        return [Carrier(str(name), str(value), int(now), int(before)) for name, value, now, before in rows]

    def concentrations(self, scoped: Scoped, spans: Spans) -> list[Concentrated]:
        """Of people, sessions and prompts, where calls name any."""
        rows = self._ask("spike_concentration.sql", scoped, _given(spans))
        return [
            Concentrated(str(kind), int(number), float(share), int(carriers), int(most), int(most_before))
            for kind, number, share, carriers, most, most_before in rows
        ]

    def key(self, scoped: Scoped, spans: Spans) -> Key | None:
        """The credential that carries most; None where calls name none."""
        rows = self._ask("spike_key.sql", scoped, _given(spans))
        return Key(*(int(value) for value in rows[0])) if rows else None

    def _ask(self, name: str, scoped: Scoped, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        selected = {parameter: list(scoped.selectors.get(column, ())) for column, parameter in SELECTORS.items()}
        bounds = {"log": self._log, "partitions": list(scoped.below), "firsts": list(scoped.below.values())}
        return self._database.query(read_sql("investigation", name), selected | bounds | dict(given))


def _given(spans: Spans) -> dict[str, Any]:
    return {
        "now_from": spans.now[0],
        "now_to": spans.now[1],
        "before_from": spans.before[0],
        "before_to": spans.before[1],
        "scale": spans.scale,
        "rise": spans.rise,
    }
