"""In: enriched rows. Out: their sums per input partition, cell dimensions and event-time minute."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.tallies import CELL_DIMENSIONS
from streams.enrich.columns import Ints
from streams.enrich.facts import Facts
from streams.enrich.groups import Names, keys_of, sum_groups


@dataclass(frozen=True, slots=True)
class Cells:
    """One row per cell, ordered by partition, dimensions (null first) and minute.

    `names` has an entry for each of CELL_DIMENSIONS; `minute` is in minutes since the epoch; `sums` is measures × rows,
    in the order of MEASURES.
    """

    partition: Ints
    names: dict[str, Names]
    minute: Ints
    sums: Ints


def cells_of(facts: Facts) -> Cells:
    """Sum the rows."""
    names = {name: facts.names(name) for name in CELL_DIMENSIONS}
    keys = keys_of([facts.partition, *(one.codes for one in names.values()), facts.minute], len(facts.minute))
    rows, sums = sum_groups(keys, facts.sums)
    taken = {name: one.take(rows) for name, one in names.items()}
    return Cells(facts.partition[rows], taken, facts.minute[rows], sums)
