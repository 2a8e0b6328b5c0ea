"""In: nothing. Out: when a slow change is worth an alert, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

USD: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """Amounts are nano-USD a month of 30 days, at today's calls or outcomes.

    A workflow is told when cost or tokens per call are `ratio` times what is usual and that costs `least_extra`. An
    hour counts with `least_calls`; a step must have lasted `least_hours` such hours, and `history_days` must lie before
    it. `back_ratio` ends it, and so do `usual_days`.

    A use case is told when its cost per outcome is `outcome_ratio` times what it was, over 4 to 8 closed weeks with
    `least_outcomes` each, its cost has grown to `least_growth` times, and that costs `least_outcome_extra`.
    """

    enabled: bool = True
    ratio: float = 1.5
    least_extra: int = 100 * USD
    least_calls: int = 5
    least_hours: int = 6
    history_days: int = 3
    back_ratio: float = 1.2
    usual_days: int = 14
    outcome_ratio: float = 1.5
    least_outcomes: int = 20
    least_growth: float = 1.2
    least_outcome_extra: int = 100 * USD
