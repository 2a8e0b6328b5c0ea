"""In: enriched rows, and what each source sent. Out: tally rows (schemas.tallies) by input partition and tally
partition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from schemas.tallies import MEASURES, TALLIES, home_partition
from streams.enrich.budget_rows import BudgetIndex, BudgetRows
from streams.enrich.cells import Cells, cells_of
from streams.enrich.columns import Ints
from streams.enrich.facts import Facts
from streams.enrich.groups import Index, Names
from streams.enrich.policy.columns import Judged
from streams.enrich.policy.rows import PolicyRows, policy_rows
from streams.enrich.source_rows import SourceRows

#: (input partition, tally partition) -> its rows.
Tallies = dict[tuple[int, int], pa.RecordBatch]


class TallyMaker:
    """Splits the sums of a batch by where teams, budgets and sources live. Remembers the home of each name it met."""

    def __init__(self, tally_partitions: int) -> None:
        self._partitions = tally_partitions
        self._homes: dict[str, int] = {}

    def tally(self, facts: Facts, budgets: BudgetIndex, sources: SourceRows, judged: Judged | None = None) -> Tallies:
        """All tally rows of a batch; pairs of partitions without rows are left out."""
        if facts.table.num_rows + len(sources) == 0:
            return {}
        cells = cells_of(facts)
        rows = budgets.rows(cells, facts)
        policies = policy_rows(facts, judged)
        teams = cells.names["team_id"]
        homes = np.concatenate(
            [
                self._homes_of("team", teams.texts, teams.codes),
                self._homes_of("budget", budgets.ids, rows.budget),
                self._homes_of("source", sources.names, sources.source),
                self._homes_of("policy", policies.rules, policies.finding),
            ]
        )
        partition = np.concatenate([cells.partition, rows.partition, sources.partition, policies.partition])
        order = np.lexsort((homes, partition))
        batch = _record_batch(cells, rows, budgets, sources, policies, order)
        return dict(_split(batch, partition[order], homes[order]))

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


def _record_batch(
    cells: Cells, rows: BudgetRows, budgets: BudgetIndex, sources: SourceRows, policies: PolicyRows, order: Index
) -> pa.RecordBatch:
    """Cell rows, behind them budget rows, then source rows and policy rows, as TALLIES columns, in `order`."""
    lengths = len(cells.minute), len(rows.minute), len(sources), len(policies.minute)

    def column(*parts: Ints | Index | int) -> Ints:
        """What cells, budgets, sources and policies have there, in turn."""
        return np.concatenate(
            [np.full(n, one) if isinstance(one, int) else one for one, n in zip(parts, lengths, strict=True)]
        )[order]

    no_budget, no_source, no_finding = len(budgets.ids), len(sources.names), len(policies.rules)
    budget = pa.array(column(no_budget, rows.budget, no_budget, no_budget))
    finding = pa.array(column(no_finding, no_finding, no_finding, policies.finding))
    columns = {
        name: Names(names.texts, column(names.codes, 0, 0, policies.codes(name))).column()
        for name, names in cells.names.items()
    }
    columns |= {
        name: Names(policies.names[name].texts, column(0, 0, 0, policies.codes(name))).column()
        for name in ("workflow", "sub_key")
        if name in policies.names
    }
    columns |= {
        "minute": pa.array(column(cells.minute, rows.minute, sources.minute, policies.minute).astype(np.int32)),
        "budget_id": pa.array([*budgets.ids, None], pa.utf8()).take(budget),
        "budget_rule": pa.array([*budgets.rules, None], pa.utf8()).take(budget),
        "period_start": pa.array(
            column(0, rows.period_start, 0, 0).astype(np.int32), mask=column(1, 0, 1, 1).astype(np.bool_)
        ),
        "source": pa.array([*sources.names, None], pa.utf8()).take(
            pa.array(column(no_source, no_source, sources.source, no_source))
        ),
        "rejection_code": pa.array([None, *sources.codes], pa.utf8()).take(
            pa.array(column(0, 0, np.arange(1, len(sources) + 1), 0))
        ),
    }
    if policies.rules:
        columns["policy_rule"] = pa.array([*policies.rules, None], pa.utf8()).take(finding)
        columns["policy_verdict"] = pa.array([*policies.verdicts, None], pa.utf8()).take(finding)
    sums = np.concatenate([cells.sums, rows.sums, sources.sums(), policies.sums], axis=1).take(order, axis=1)
    columns |= {name: pa.array(values) for name, values in zip(MEASURES, sums, strict=True)}
    nothing = pa.nulls(len(order), pa.utf8())
    return pa.RecordBatch.from_arrays([columns.get(name, nothing) for name in TALLIES.names], schema=TALLIES)


def _split(rows: pa.RecordBatch, partition: Ints, home: Ints) -> Iterator[tuple[tuple[int, int], pa.RecordBatch]]:
    """Slices of one batch: there are some two hundred pairs of partitions, and each conversion has a fixed cost."""
    changes = np.flatnonzero((partition[1:] != partition[:-1]) | (home[1:] != home[:-1])) + 1
    for start, stop in pairwise([0, *changes.tolist(), rows.num_rows]):
        yield (int(partition[start]), int(home[start])), rows.slice(start, stop - start)
