"""In: nothing. Out: the settings of the agents: spikes, policies and reviews."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from streamgauge.settings.section import NonEmpty, Port, Section


class SpikeSettings(Section):
    enabled: bool = Field(True, description="Look for spikes at all.")
    excess_per_hour_usd: Decimal | None = Field(
        None,
        gt=0,
        description="A spike that costs less than this an hour beyond the usual pages nobody; none: built in.",
    )
    excess_total_usd: Decimal | None = Field(
        None, gt=0, description="A spike that has cost less than this beyond the usual pages nobody; none: built in."
    )


class PolicySettings(Section):
    quiet_hours: int = Field(
        24,
        ge=1,
        le=24 * 30,
        description="A broken policy is over when no such call came for so long, in event time.",
    )
    least_calls: int = Field(
        10, ge=1, description="It is told again when its calls have doubled, from this many calls on."
    )


class ReviewSettings(Section):
    enabled: bool = Field(
        True, description="Ask ClickHouse every hour for workflows that have become dearer, every day for use cases."
    )
    ratio: float = Field(
        1.5, ge=1.2, le=100, description="A workflow is told when a call costs, or takes in tokens, so many times more."
    )
    usd_per_month: Decimal = Field(
        Decimal(100), ge=1, description="A workflow that costs less than this a month beyond the usual is not told."
    )
    least_calls: int = Field(5, ge=1, description="An hour of a workflow counts from so many calls on.")
    outcome_ratio: float = Field(
        1.5, ge=1.2, le=100, description="A use case is told when an outcome costs so many times more than weeks ago."
    )
    outcome_usd_per_month: Decimal = Field(
        Decimal(100), ge=1, description="A use case whose dearer outcomes cost less than this a month is not told."
    )
    least_outcomes: int = Field(20, ge=1, description="A week counts from so many outcomes on that were reached.")


class AgentsSettings(Section):
    settle_ms: int = Field(250, ge=10, le=60_000, description="How often tallies are folded and judged.")
    checkpoint_s: float = Field(1.0, gt=0, le=60, description="Longest that changed state waits when nothing fires.")
    spikes: SpikeSettings = Field(SpikeSettings(), description="When a rise is worth a page.")
    policy: PolicySettings = Field(PolicySettings(), description="When broken policies are told.")
    reviews: ReviewSettings = Field(ReviewSettings(), description="When slow changes are told.")
    web_port: Port = Field(0, description="Port on loopback where Faust serves team totals; 0: none.")
    historical_after_s: int = Field(
        172_800,
        ge=60,
        description="An alert whose event time lies further back than this is history: recorded, never forwarded.",
    )
    history: bool = Field(
        True, description="Ask ClickHouse what a budget that is made in mid-period used before; off: it is unknown."
    )
    investigate: bool = Field(
        True,
        description="Ask ClickHouse what rose when a budget crosses a level, and what carries a spike; the alert is "
        "then told once more.",
    )
    runbook: NonEmpty | None = Field(
        None,
        description="Address of a runbook that alerts on spikes link to; `{incident}` in it stands for what it looks "
        "like, such as `cache_collapse`.",
    )
