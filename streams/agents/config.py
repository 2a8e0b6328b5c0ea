"""In: settings. Out: everything that the agents can be told, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.agents.ingest.policy import IngestPolicy
from streams.agents.policy.limits import PolicyLimits
from streams.agents.reviews.policy import ReviewPolicy
from streams.agents.spikes.policy import SpikePolicy


@dataclass(frozen=True, slots=True)
class AgentsConfig:
    """Settings of `streamgauge agents`; the connection, the topics and the clock are handed in beside it.

    `settle_ms`: how often offered tallies are folded and judged. `pending_rows`: fold earlier than that once so many
    rows wait. `checkpoint_s`: the longest that changed state waits for its transaction when nothing fires.
    `statuses_at_once`: so many statuses of budgets go into one transaction, changed states first: 10,000 that are due
    hold nothing up.
    `longest_settle_s`: while a settlement and its transaction take longer than this, their shard takes no more tallies.
    `snapshot_deltas`: after so many deltas the state is written whole and the deltas are retired.
    `historical_after_s`: an alert whose event time lies further behind broker time than this is history. `web_port`
    None: no HTTP beyond the role's own endpoint; a port: team totals on loopback only. `runbook`: address
    that alerts on spikes link to, in which `{incident}` stands for what it looks like; None: none.
    """

    group: str = "streamgauge.agents"
    settle_ms: int = 250
    pending_rows: int = 200_000
    checkpoint_s: float = 1.0
    statuses_at_once: int = 2_000
    longest_settle_s: float = 20.0
    snapshot_deltas: int = 300
    historical_after_s: int = 2 * 86_400
    web_port: int | None = None
    runbook: str | None = None
    spikes: SpikePolicy = field(default_factory=SpikePolicy)
    ingest: IngestPolicy = field(default_factory=IngestPolicy)
    policy: PolicyLimits = field(default_factory=PolicyLimits)
    reviews: ReviewPolicy = field(default_factory=ReviewPolicy)
