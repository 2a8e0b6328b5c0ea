"""In: enriched rows. Out: tally rows (schemas.tallies) by input partition and tally partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from schemas.tallies import MEASURES, TALLIES, home_partition
from streams.enrich.budget_rows import BudgetIndex, BudgetRows
from streams.enrich.cells import Cells, cells_of
from streams.enrich.columns import Ints
from streams.enrich.groups import Index, Names

#: (input partition, tally partition) -> its rows.
Tallies = dict[tuple[int, int], pa.RecordBatch]


class TallyMaker:
    """Splits the sums of a batch by where teams and budgets live. Remembers the home of each name it met."""

    def __init__(self, tally_partitions: int) -> None:
        self._partitions = tally_partitions
        self._homes: dict[str, int] = {}

    def tally(self, enriched: pa.Table, budgets: BudgetIndex) -> Tallies:
        """All tally rows of a batch; pairs of partitions without rows are left out."""
        if enriched.num_rows == 0:
            return {}
        cells = cells_of(enriched)
        rows = budgets.rows(cells)
        teams = cells.names["team_id"]
        homes = np.concatenate(
            [
                self._homes_of("team", teams.texts, teams.codes),
                self._homes_of("budget", budgets.ids, rows.budget),
            ]
        )
        partition = np.concatenate([cells.partition, rows.partition])
        order = np.lexsort((homes, partition))
        return dict(_split(_record_batch(cells, rows, budgets, order), partition[order], homes[order]))

    def _homes_of(self, kind: str, names: Sequence[str | None], places: Ints | Index) -> Ints:
        """The home of each row, whose name is `names[place]`; only names that occur are looked up."""
        table = np.zeros(len(names), np.int64)
        for place in np.unique(places).tolist():
            table[place] = self._home(f"{kind}/{names[place]}")
        return table[places]

    def _home(self, key: str) -> int:
        home = self._homes.get(key)
        if home is None:
            if len(self._homes) > 1_000_000:
                self._homes.clear()
            home = self._homes[key] = home_partition(key, self._partitions)
        return home


def _record_batch(cells: Cells, rows: BudgetRows, budgets: BudgetIndex, order: Index) -> pa.RecordBatch:
    """Cell rows and, behind them, budget rows as TALLIES columns, in `order`."""
    is_cell = order < len(cells.minute)
    nobody, nothing = np.zeros(len(rows.minute), np.int64), np.full(len(cells.minute), len(budgets.ids))
    budget = pa.array(np.concatenate([nothing, rows.budget])[order])
    columns = {
        name: Names(names.texts, np.concatenate([names.codes, nobody])[order]).column()
        for name, names in cells.names.items()
    }
    columns |= {
        "minute": pa.array(np.concatenate([cells.minute, rows.minute])[order].astype(np.int32)),
        "budget_id": pa.array([*budgets.ids, None], pa.utf8()).take(budget),
        "budget_rule": pa.array([*budgets.rules, None], pa.utf8()).take(budget),
        "period_start": pa.array(np.concatenate([nothing, rows.period_start])[order].astype(np.int32), mask=is_cell),
        "sub_key": pa.nulls(len(order), pa.utf8()),
    }
    sums = np.concatenate([cells.sums, rows.sums], axis=1)[:, order]
    columns |= {name: pa.array(values) for name, values in zip(MEASURES, sums, strict=True)}
    return pa.RecordBatch.from_arrays([columns[name] for name in TALLIES.names], schema=TALLIES)


def _split(rows: pa.RecordBatch, partition: Ints, home: Ints) -> Iterator[tuple[tuple[int, int], pa.RecordBatch]]:
    """Slices of one batch: there are some two hundred pairs of partitions, and each conversion has a fixed cost."""
    changes = np.flatnonzero((partition[1:] != partition[:-1]) | (home[1:] != home[:-1])) + 1
    for start, stop in pairwise([0, *changes.tolist(), rows.num_rows]):
        yield (int(partition[start]), int(home[start])), rows.slice(start, stop - start)
