"""In: cell rows (a team's sums by minute) and the budgets. Out: one row per budget, period and quarter of an hour.

Budgets with the same selectors set have one *shape* and are matched by one join, however many they are. Enrich computes
the period, so that an agent can add the row up without knowing the budget yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

import polars as pl

from schemas.control.budgets import Budget
from schemas.control.periods import period_of
from schemas.tallies import MEASURES

QUARTER_MINUTES = 15
_KEY = ("src_partition", "budget_id", "budget_rule", "period_start", "minute")


class BudgetIndex:
    """The budgets of one control snapshot, by shape."""

    def __init__(self, budgets: Iterable[Budget]) -> None:
        by_shape: dict[tuple[str, ...], list[Budget]] = defaultdict(list)
        for budget in budgets:
            by_shape[tuple(sorted(budget.scope.selectors()))].append(budget)
        self._shapes = [
            (
                shape,
                pl.DataFrame(
                    {
                        "budget_id": [budget.id for budget in mine],
                        "budget_rule": [budget.rule for budget in mine],
                        "_calendar": [f"{budget.period}|{budget.time_zone}" for budget in mine],
                        **{column: [budget.scope.selectors()[column] for budget in mine] for column in shape},
                    }
                ),
            )
            for shape, mine in sorted(by_shape.items())
        ]

    def rows(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Budget rows of `cells` (columns: src_partition, the cell dimensions, minute, MEASURES), summed per _KEY."""
        matched = []
        for shape, budgets in self._shapes:
            wanted = cells.select("src_partition", "minute", *shape, *MEASURES)
            joined = wanted.join(budgets, on=list(shape), how="inner") if shape else wanted.join(budgets, how="cross")
            if joined.height:
                matched.append(joined.drop(shape))
        if not matched:
            return (
                cells.clear()
                .select("src_partition", *MEASURES)
                .with_columns(
                    pl.lit(None, pl.String).alias("budget_id"),
                    pl.lit(None, pl.String).alias("budget_rule"),
                    pl.lit(None, pl.Int32).alias("period_start"),
                    pl.lit(None, pl.Int32).alias("minute"),
                )
            )
        rows = pl.concat(matched).with_columns((pl.col("minute") // QUARTER_MINUTES * QUARTER_MINUTES).alias("minute"))
        return with_period_start(rows).group_by(_KEY).agg(pl.col(name).sum() for name in MEASURES).sort(_KEY)


def with_period_start(rows: pl.DataFrame) -> pl.DataFrame:
    """Replace `_calendar` (`PERIOD|ZONE`) by `period_start`: minutes since the epoch of the local midnight that opens
    it.

    Python sees each distinct pair of calendar and quarter of an hour once: a handful in a batch of live traffic.
    """
    pairs = rows.select("_calendar", "minute").unique()
    starts = [_period_start(calendar, minute) for calendar, minute in pairs.iter_rows()]
    table = pairs.with_columns(pl.Series("period_start", starts, pl.Int32))
    return rows.join(table, on=["_calendar", "minute"], how="left").drop("_calendar")


@lru_cache(maxsize=65_536)
def _period_start(calendar: str, minute: int) -> int:
    period, zone = calendar.split("|", 1)
    return period_of("day" if period == "day" else "month", zone, minute * 60_000_000).start_minute
