"""In: nothing. Out: the constants by which a spike is told from noise, as one value."""

from __future__ import annotations

from dataclasses import dataclass

NANO_PER_USD = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SpikePolicy:
    """When use counts as a spike. Spans are event time, amounts nano-USD.

    A measure exceeds when its z-score and its ratio to the usual are high over the last two or six buckets (the short
    span asks for `fast_factor` times as much) and `hits` of the last `window` buckets each stood out; money decides
    whether that is worth a page: `excess_per_hour` and `excess_total`. `over_top`: and that many times the strongest of
    quiet times. `over_reach`: more calls or money must cost that many times what half an hour has come to around this
    time of like days, more where that lies far above the usual (counted up to `most_burst` times), and `young_reach`
    times as much until `known_hours` are learnt; their z-scores must be higher by the same reason. `failing`: where
    that part of the calls beyond the usual fails, `failing_factor` times as much is asked of them. `calm_buckets`: an
    episode ends after that many buckets in a row near the usual. `adopt_buckets`: what lasts that long is the new
    usual. `warm_up_hours`: a series is learnt that long before it can fire; `sure_hours`: until then `young_factor`
    times as much is asked. `pair_calls`: a use case is watched by itself once it has made so many calls within a week,
    `pairs_per_team` of them at most. `early_*`: when a bucket that is not over is plain. `carried`: from this part of a
    team's excess on, the alert is the use case's.
    """

    enabled: bool = True
    warm_up_hours: int = 72
    warm_up_calls: int = 100
    sure_hours: int = 168
    young_factor: float = 1.5
    z_calls: float = 6.0
    z_tokens: float = 4.0
    z_price: float = 4.5
    z_cache: float = 4.0
    z_cost: float = 6.5
    fast_factor: float = 1.4
    over_top: float = 1.1
    over_reach: float = 1.15
    most_burst: float = 5.0
    known_hours: int = 504
    young_reach: float = 1.15
    failing: float = 0.5
    failing_factor: float = 0.55
    ratio: float = 1.8
    #: What caching does to the price varies so little that less is already sure.
    ratio_cache: float = 1.5
    #: Fewer calls than this in half an hour are no evidence.
    least_calls: float = 12.0
    #: Money as a whole must be up too: a measure that rises while spending stays flat wakes nobody.
    cost_ratio: float = 1.3
    hit_ratio: float = 1.6
    hit_ratio_cache: float = 1.4
    hits: int = 3
    window: int = 4
    fast_hits: int = 2
    fast_window: int = 3
    calm_ratio: float = 1.4
    calm_z: float = 1.5
    calm_buckets: int = 6
    adopt_buckets: int = 288
    excess_per_hour: int = 4 * NANO_PER_USD
    excess_total: int = NANO_PER_USD // 2
    early_ratio: float = 4.0
    early_peak: float = 2.0
    early_z: float = 10.0
    early_calls: int = 10
    early_excess: int = 2 * NANO_PER_USD
    pair_calls: int = 500
    pairs_per_team: int = 16
    carried: float = 0.7
    #: An episode that is over is remembered as so strong at most.
    most_remembered: float = 1.8
    #: A team's strength from which it is about to exceed.
    about: float = 0.7
