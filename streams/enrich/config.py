"""In: settings. Out: everything that enrich can be told, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class EnrichConfig:
    """Settings of `streamgauge enrich`; the connection, the topics and the clock are handed in beside it.

    `user_key` keys the hash that stands for a user id. `lateness_s`: an event that far behind its partition's greatest
    event time is late. `dedupe_*` bound the window in which a resend is recognised; `accept_missing_window`: go on
    where it cannot be rebuilt. `reject_limit_*`: see `streams.enrich.reject_limit`.
    """

    user_key: bytes = field(repr=False)
    group: str = "streamgauge.enrich"
    batch_messages: int = 20_000
    poll_ms: int = 100
    lateness_s: int = 120
    dedupe_horizon_s: int = 86_400
    dedupe_max_ids: int = 10_000_000
    accept_missing_window: bool = False
    reject_limit_share: float = 0.5
    reject_limit_events: int = 10_000
    reject_limit_run: int = 5_000
    tag_keys: tuple[str, ...] = ()
    provisional_input_usd_per_mtok: Decimal = Decimal(10)
    provisional_output_usd_per_mtok: Decimal = Decimal(40)
