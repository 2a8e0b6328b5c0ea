"""In: what the detector knows of an episode at one of its states. Out: that, as one value, for whoever explains it.

Nothing else of the detector's reaches texts and explanations, so each can change without the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from schemas.alerts import Confidence, Said
from streams.agents.spikes.evidence import Measure

#: Why a state was told: it began; it was plain before its bucket had closed (`early`, figures so far); its figures are
#: now those of closed buckets, or its impact has doubled (`grown`); it is calm again (`over`); it has lasted so long
#: that it is the new usual (`adopted`); people said something of it (`said`); a wider rise has taken it in (`merged`);
#: single calls have been looked into (`explained`).
Why = Literal["began", "early", "grown", "over", "adopted", "said", "merged", "explained"]


@dataclass(frozen=True, slots=True)
class Series:
    """What is judged: a team, or a team's use case."""

    team: str
    use_case: str | None = None

    @property
    def name(self) -> str:
        """The same for people and for ids: `search`, or `search/checkout-help`."""
        return self.team if self.use_case is None else f"{self.team}/{self.use_case}"


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums of one span, observed or usual: calls, tokens and cost in nano-USD. Amounts of the usual are fractions.

    `classes`: tokens and cost in nano-USD by model class.
    """

    calls: float
    errors: float
    input_tokens: float
    cache_read_tokens: float
    output_tokens: float
    cost: float
    classes: Mapping[str, tuple[float, float]]

    @property
    def tokens(self) -> float:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Finding:
    """One state of one episode. Times are event time in µs, [start_us, end_us). `before` is what is usual for that
    span. `parts`: the same by use case, for a team's episode. `since_us`: what its id is made of: `start_us`, or where
    the half hour begins in which it was told early. `rate`: extra nano-USD per hour, lately. `activity`: id of the
    planned activity that covers it.
    """

    series: Series
    measure: Measure
    why: Why
    since_us: int
    start_us: int
    end_us: int
    before: Usage
    after: Usage
    parts: Mapping[str, tuple[Usage, Usage]]
    rate: float
    confidence: Confidence
    historical: bool
    revision: int
    activity: str | None = None
    #: With `expected` and `noise`, the state told as `said` is the last.
    said: Said | None = None
