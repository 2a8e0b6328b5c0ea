"""In: nothing. Out: the constants by which a spike is told from noise, as one value."""

from __future__ import annotations

from dataclasses import dataclass

NANO_PER_USD = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SpikePolicy:
    """When a team's use counts as a spike. Spans are event time, amounts nano-USD.

    A measure exceeds when its z-score and its ratio to the usual are high over the last 15 or 30 minutes and `hits`
    of the last four buckets each stood out; money decides whether that is worth a page: `excess_per_hour` and
    `excess_total`. `calm_buckets`: an episode ends after that many buckets in a row near the usual. `adopt_buckets`:
    what lasts that long is the new usual. `warm_up_buckets`: a team is learnt that long before it can fire.
    """

    enabled: bool = True
    warm_up_buckets: int = 3 * 288
    warm_up_calls: int = 100
    z_calls: float = 6.5
    z_tokens: float = 4.0
    z_price: float = 5.0
    z_cache: float = 4.0
    z_cost: float = 12.0
    ratio: float = 2.0
    #: What caching does to the price varies so little that less is already sure.
    ratio_cache: float = 1.7
    #: Fewer calls than this in half an hour are no evidence.
    least_calls: float = 12.0
    #: Money as a whole must be up too: a measure that rises while spending stays flat wakes nobody.
    cost_ratio: float = 1.2
    hit_ratio: float = 2.0
    hit_ratio_cache: float = 1.5
    hits: int = 3
    hits_price: int = 4
    calm_ratio: float = 1.5
    calm_z: float = 1.5
    calm_buckets: int = 6
    adopt_buckets: int = 288
    excess_per_hour: int = 3 * NANO_PER_USD // 10
    excess_total: int = 3 * NANO_PER_USD // 20
