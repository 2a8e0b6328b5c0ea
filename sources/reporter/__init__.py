"""The producer SDK: report a model call, or what it achieved, without making the caller wait for Kafka.

- `usage_event`, `outcome_event` the values, validated when they are made
- `reporter`  queue, background thread, delivery, statistics · `usage_reporter`, `outcome_reporter` the two to construct
"""

from __future__ import annotations

from sources.errors import DeliveryError
from sources.reporter.outbox import ReporterStats
from sources.reporter.outcome_event import OutcomeEvent
from sources.reporter.outcome_reporter import OutcomeReporter
from sources.reporter.reporter import Limits
from sources.reporter.usage_event import UsageEvent
from sources.reporter.usage_reporter import UsageReporter

__all__ = (
    "DeliveryError",
    "Limits",
    "OutcomeEvent",
    "OutcomeReporter",
    "ReporterStats",
    "UsageEvent",
    "UsageReporter",
)
