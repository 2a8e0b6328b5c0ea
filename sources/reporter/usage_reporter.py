"""In: usage events of a service. Out: `usage.events`, batched per partition."""

from __future__ import annotations

from runtime.clock import Clock, SystemClock
from runtime.connection import KafkaConnection
from sources.reporter.reporter import Limits, OnError, Reporter
from sources.reporter.usage_event import UsageEvent, encode_usage


class UsageReporter(Reporter[UsageEvent]):
    """Reports model calls. `kafka` is `host:port,…` or a KafkaConnection (TLS, SASL); `source` names your service.

    with UsageReporter("localhost:9092", source="support-bot") as reporter:
        reporter.report(UsageEvent(model="gpt-4o", input_tokens=1_200, output_tokens=80, team_id="support"))
    """

    def __init__(
        self,
        kafka: str | KafkaConnection,
        *,
        source: str,
        topic: str = "usage.events",
        on_error: OnError[UsageEvent] | None = None,
        limits: Limits = Limits(),
        clock: Clock | None = None,
    ) -> None:
        super().__init__(kafka, source, topic, "usage_event", encode_usage, on_error, limits, clock or SystemClock())
