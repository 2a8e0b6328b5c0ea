"""In: a broker's address (default: the local one). Out: one usage event on `usage.events`, acknowledged by Kafka."""

from __future__ import annotations

import sys

from sources.reporter import UsageEvent, UsageReporter

with UsageReporter(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9092", source="my-service") as reporter:
    reporter.report(UsageEvent(model="gpt-4o", input_tokens=1_200, output_tokens=80, team_id="support"))
