"""In: nothing. Out: every metric that a role exports, with its unit in the name and its meaning beside it."""

from __future__ import annotations

from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: From 5 ms to 30 s: a batch takes tens of milliseconds, an outage seconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class EnrichMetrics:
    """Metrics of `streamgauge enrich`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "streamgauge_enrich_events_total",
            "Usage events read, by what became of them: enriched, duplicate or rejected.",
            ["result"],
            registry=registry,
        )
        self.rejected = Counter(
            "streamgauge_enrich_rejected_total", "Usage events refused, by rejection code.", ["code"], registry=registry
        )
        self.unpriced = Counter(
            "streamgauge_enrich_unpriced_total", "Enriched events whose model has no price.", registry=registry
        )
        self.unattributed = Counter(
            "streamgauge_enrich_unattributed_total", "Enriched events whose team nobody knows.", registry=registry
        )
        self.conflicts = Counter(
            "streamgauge_enrich_claim_conflicts_total",
            "Enriched events whose claim lost against the documents: team, use_case or stage.",
            ["claim"],
            registry=registry,
        )
        self.late = Counter(
            "streamgauge_enrich_late_total", "Enriched events behind their partition's watermark.", registry=registry
        )
        self.unkeyed = Counter(
            "streamgauge_enrich_unkeyed_total",
            "Events in messages without a key: a resend may reach another partition, where dedupe cannot see it.",
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "streamgauge_enrich_batch_seconds",
            "Wall time of one batch, by step.",
            ["step"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.lag = Gauge(
            "streamgauge_enrich_lag_messages",
            "Messages of usage.events not yet read, by partition.",
            ["partition"],
            registry=registry,
        )
        self.window_ids = Gauge(
            "streamgauge_enrich_dedupe_ids", "Event ids remembered, by partition.", ["partition"], registry=registry
        )
        self.horizon = Gauge(
            "streamgauge_enrich_dedupe_horizon_seconds",
            "How far back in broker time a resend is recognised, by partition.",
            ["partition"],
            registry=registry,
        )

    def forget(self, partition: int) -> None:
        """Take away the gauges of a partition that this worker no longer holds: another one tells them now."""
        for gauge in (self.lag, self.window_ids, self.horizon):
            with suppress(KeyError):
                gauge.remove(str(partition))


class AgentMetrics:
    """Metrics of `streamgauge agents`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tallies = Counter(
            "streamgauge_agents_tally_messages_total",
            "Tally messages, by what was done: applied, skipped (already applied) or read_back (after a hole).",
            ["result"],
            registry=registry,
        )
        self.rows = Counter("streamgauge_agents_tally_rows_total", "Rows of sums folded.", registry=registry)
        self.checkpoints = Counter(
            "streamgauge_agents_checkpoints_total", "Checkpoint transactions committed.", registry=registry
        )
        self.checkpoint_bytes = Counter(
            "streamgauge_agents_checkpoint_bytes_total", "Bytes written to usage.state.", registry=registry
        )
        self.settle_seconds = Histogram(
            "streamgauge_agents_settle_seconds",
            "Wall time of one settlement (fold, evaluate, checkpoint).",
            buckets=_SECONDS,
            registry=registry,
        )
        self.alerts = Counter(
            "streamgauge_agents_alerts_total",
            "Alerts published, by kind and state.",
            ["kind", "state"],
            registry=registry,
        )
        self.reviews = Counter(
            "streamgauge_agents_reviews_total",
            "Questions of slow reviews to ClickHouse, by kind (regressions, divergences) and result: answered, waited "
            "or failed.",
            ["kind", "result"],
            registry=registry,
        )
        self.watermark = Gauge(
            "streamgauge_agents_watermark_seconds",
            "Event-time watermark, by tally partition.",
            ["partition"],
            registry=registry,
        )
        self.keys = Gauge(
            "streamgauge_agents_state_rows",
            "Rows of state held, by table and tally partition.",
            ["table", "partition"],
            registry=registry,
        )


class SinkMetrics:
    """Metrics of `streamgauge sink`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows = Counter(
            "streamgauge_sink_rows_total", "Rows inserted into ClickHouse, by table.", ["table"], registry=registry
        )
        self.inserts = Counter(
            "streamgauge_sink_inserts_total",
            "Inserts, by table and result: ok, retried or refused.",
            ["table", "result"],
            registry=registry,
        )
        self.insert_seconds = Histogram(
            "streamgauge_sink_insert_seconds",
            "Wall time of one insert, by table.",
            ["table"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.refused = Counter(
            "streamgauge_sink_refused_rows_total",
            "Accepted events that ClickHouse refused for their content, set aside on usage.rejected.",
            registry=registry,
        )
        self.unreadable = Counter(
            "streamgauge_sink_unreadable_total",
            "Records that cannot be read, and rows of them that ClickHouse refuses for their content, by topic.",
            ["topic"],
            registry=registry,
        )
        self.skipped = Counter(
            "streamgauge_sink_skipped_blocks_total", "Blocks that the ledger already held.", registry=registry
        )
        self.lag = Gauge(
            "streamgauge_sink_lag_messages",
            "Messages not yet in ClickHouse, by topic and partition.",
            ["topic", "partition"],
            registry=registry,
        )


class HealthMetrics:
    """Metrics of every role: what its probes answer, and what the watch sees."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.live = Gauge("streamgauge_live", "1 while /live answers 200, else 0.", registry=registry)
        self.ready = Gauge("streamgauge_ready", "1 while /ready answers 200, else 0.", registry=registry)
        self.progress_age = Gauge(
            "streamgauge_progress_age_seconds",
            "Seconds since the role last moved on or found its input empty.",
            registry=registry,
        )
        self.standing = Gauge(
            "streamgauge_standstill_seconds",
            "For how long the partition that is worst off has had input waiting while its offset stood.",
            registry=registry,
        )
        self.lag = Gauge(
            "streamgauge_lag_messages",
            "Messages between the group's committed offset and the end, by topic and partition held.",
            ["topic", "partition"],
            registry=registry,
        )


#: From 50 µs to 1 s: an answer takes a fraction of a millisecond.
_ANSWER_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)


class CheckMetrics:
    """Metrics of `streamgauge check serve`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = Counter(
            "streamgauge_check_answers_total",
            "Questions answered, by decision: allow, warn, needs_acknowledgement or stop.",
            ["decision"],
            registry=registry,
        )
        self.refused = Counter(
            "streamgauge_check_refused_total",
            "Requests that were not answered: a question that cannot be read, or a wrong token.",
            ["why"],
            registry=registry,
        )
        self.seconds = Histogram(
            "streamgauge_check_answer_seconds",
            "From a request's arrival in the process to its answer.",
            buckets=_ANSWER_SECONDS,
            registry=registry,
        )
        self.read_behind = Gauge(
            "streamgauge_check_read_behind_seconds",
            "How old what is known may be; -1 before the topics were read to their end.",
            registry=registry,
        )
        self.budgets = Gauge("streamgauge_check_budgets", "Budgets in force that are looked at.", registry=registry)
        self.statuses = Gauge(
            "streamgauge_check_statuses", "Statuses held: one a budget and period.", registry=registry
        )
        self.unreadable = Counter(
            "streamgauge_check_unreadable_total",
            "Statuses that cannot be read: they count as missing.",
            registry=registry,
        )


class ForwardMetrics:
    """Metrics of `streamgauge forward`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.states = Counter(
            "streamgauge_forward_states_total",
            "State changes of alerts, by what became of them: posted, put_aside (refused for their content), history, "
            "info, repeated, nothing_open or unreadable.",
            ["result"],
            registry=registry,
        )
        self.posts = Counter(
            "streamgauge_forward_posts_total",
            "Requests to Alertmanager, by result: ok, waited (it was away) or refused (for their content).",
            ["result"],
            registry=registry,
        )
        self.post_seconds = Histogram(
            "streamgauge_forward_post_seconds",
            "Wall time of one request to Alertmanager.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.delay_seconds = Histogram(
            "streamgauge_forward_delay_seconds",
            "From when an agent told a state to when Alertmanager had taken it.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.open = Gauge(
            "streamgauge_forward_open_alerts", "Alerts that are held firing in Alertmanager.", registry=registry
        )
