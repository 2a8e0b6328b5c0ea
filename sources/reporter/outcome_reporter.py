"""In: outcomes that a system knows of. Out: `usage.outcomes`, one message each."""

from __future__ import annotations

from runtime.clock import Clock, SystemClock
from runtime.connection import KafkaConnection
from sources.reporter.outcome_event import OutcomeEvent, encode_outcomes
from sources.reporter.reporter import Limits, OnError, Reporter


class OutcomeReporter(Reporter[OutcomeEvent]):
    """Reports what model calls achieved: a ticket resolved, a change merged, or one that failed. Else as
    UsageReporter.
    """

    def __init__(
        self,
        kafka: str | KafkaConnection,
        *,
        source: str,
        topic: str = "usage.outcomes",
        on_error: OnError[OutcomeEvent] | None = None,
        limits: Limits = Limits(),
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            kafka, source, topic, "outcome_event", encode_outcomes, on_error, limits, clock or SystemClock()
        )
