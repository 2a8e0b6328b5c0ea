"""In: tables of `usage.adjustments`, form `tallies`. Out: those of their rows whose home is one tally partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from schemas.tallies import TALLIES, home_partition
from streams.agents.arrow_columns import integers, is_null


@dataclass(frozen=True, slots=True)
class Corrections:
    """What stands in the adjustment log up to `next_offset`: TALLIES rows whose measures are differences."""

    rows: pa.Table
    next_offset: int


class AdjustmentLog(Protocol):
    """The log of adjustments, beside any group. Blocks; waits out outages."""

    @property
    def end(self) -> int:
        """Where the log ends as far as is known by now."""

    def read(self, first: int, partition: int) -> Corrections:
        """Everything from offset `first` to the present end that is at home in the tally partition."""


class NoAdjustments:
    """An installation without the topic."""

    end = 0

    def read(self, first: int, partition: int) -> Corrections:  # noqa: ARG002  for every partition the same
        return Corrections(TALLIES.empty_table(), first)


def team_home(team_id: str | None, partitions: int) -> int:
    """The tally partition of a team's cells; those without a team have a home too."""
    return home_partition(f"team/{team_id}", partitions)


def home_rows(tables: Sequence[pa.Table], partition: int, partitions: int) -> pa.Table:
    """The rows at home in `partition`: cells by their team, budget rows by their budget. Source rows are never
    adjusted.
    """
    if not tables:
        return TALLIES.empty_table()
    table = pa.concat_tables(tables).combine_chunks()
    budget = _homes(table["budget_id"], "budget", partitions)
    home = np.where(is_null(table["budget_id"]), _homes(table["team_id"], "team", partitions), budget)
    return table.filter(pa.array((home == partition) & is_null(table["source"])))


def _homes(column: pa.ChunkedArray, kind: str, partitions: int) -> np.ndarray:
    """int64[n]: the home of each row by this column alone."""
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    homes = [home_partition(f"{kind}/{text}", partitions) for text in encoded.dictionary.to_pylist()]
    if not homes:
        return np.zeros(0, np.int64)
    found: np.ndarray = np.array(homes, dtype=np.int64)[integers(encoded.indices)]
    return found
