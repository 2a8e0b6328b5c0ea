"""In: enriched rows. Out: tally rows (schemas.tallies) by input partition and tally partition."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa

from schemas.tallies import CELL_DIMENSIONS, MEASURES, TALLIES, home_partition
from streams.enrich.budget_rows import BudgetIndex

#: (input partition, tally partition) -> its rows.
Tallies = dict[tuple[int, int], pa.Table]

_CELL = ("src_partition", *CELL_DIMENSIONS, "minute")
_SUMMED = {
    "input_tokens": pl.col("input_tokens"),
    "cache_read_tokens": pl.col("cache_read_tokens"),
    "cache_write_tokens": pl.col("cache_write_tokens"),
    "output_tokens": pl.col("output_tokens"),
    "reasoning_tokens": pl.col("reasoning_tokens"),
    "cost_nanousd": pl.col("cost_nanousd"),
    "provisional_nanousd": pl.col("provisional_nanousd"),
    "latency_ms": pl.col("latency_ms"),
    "late": pl.col("late").cast(pl.Int64),
    "errors": (pl.col("status") == "error").cast(pl.Int64),
    "unpriced": pl.col("cost_nanousd").is_null().cast(pl.Int64),
}


def cells(enriched: pa.Table) -> pl.DataFrame:
    """Sum enriched rows per input partition, cell and event-time minute."""
    wanted = ["src_partition", *CELL_DIMENSIONS, "occurred_at", "status"]
    wanted += [name for name in _SUMMED if name in enriched.column_names]
    frame = pl.DataFrame(enriched.select(wanted))
    return (
        frame.with_columns((pl.col("occurred_at").dt.epoch("us") // 60_000_000).cast(pl.Int32).alias("minute"))
        .group_by(_CELL)
        .agg(pl.len().cast(pl.Int64).alias("calls"), *(column.sum().alias(name) for name, column in _SUMMED.items()))
        .sort(_CELL)
    )


class TallyMaker:
    """Splits the sums of a batch by where teams and budgets live. Remembers the home of each name it met."""

    def __init__(self, tally_partitions: int) -> None:
        self._partitions = tally_partitions
        self._homes: dict[str, int] = {}

    def tally(self, enriched: pa.Table, budgets: BudgetIndex) -> Tallies:
        """All tally rows of a batch; pairs of partitions without rows are left out."""
        if enriched.num_rows == 0:
            return {}
        team_cells = cells(enriched)
        rows = pl.concat([team_cells, budgets.rows(team_cells)], how="diagonal_relaxed")
        rows = rows.with_columns(
            pl.when(pl.col("budget_id").is_null())
            .then(pl.concat_str(pl.lit("team/"), "team_id"))
            .otherwise(pl.concat_str(pl.lit("budget/"), "budget_id"))
            .alias("_home_key")
        )
        homes = rows.select(pl.col("_home_key").unique()).with_columns(
            pl.col("_home_key").map_elements(self._home, return_dtype=pl.Int32).alias("_home")
        )
        rows = rows.join(homes, on="_home_key", how="left", maintain_order="left")
        return dict(self._split(rows.sort("src_partition", "_home", maintain_order=True)))

    def _split(self, rows: pl.DataFrame) -> Iterator[tuple[tuple[int, int], pa.Table]]:
        """Slices of one table: there are some two hundred pairs of partitions, and each conversion has a fixed cost."""
        columns = [
            pl.col(field.name) if field.name in rows.columns else pl.lit(None, pl.String).alias(field.name)
            for field in TALLIES
        ]
        table = rows.select(columns).to_arrow().cast(TALLIES).combine_chunks()
        partition, home = rows["src_partition"].to_numpy(), rows["_home"].to_numpy()
        changes = np.flatnonzero((partition[1:] != partition[:-1]) | (home[1:] != home[:-1])) + 1
        for start, stop in pairwise([0, *changes.tolist(), rows.height]):
            yield (int(partition[start]), int(home[start])), table.slice(start, stop - start)

    def _home(self, key: str) -> int:
        home = self._homes.get(key)
        if home is None:
            if len(self._homes) > 1_000_000:
                self._homes.clear()
            home = self._homes[key] = home_partition(key, self._partitions)
        return home


assert {"calls", *_SUMMED} == set(MEASURES)
