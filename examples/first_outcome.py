"""In: a broker's address (default: the local one). Out: two calls of one session, and the outcome that they led to."""

from __future__ import annotations

import sys
from decimal import Decimal

from sources.reporter import OutcomeEvent, OutcomeReporter, UsageEvent, UsageReporter

broker = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9092"
session = "ticket-4711"
with UsageReporter(broker, source="support-desk") as usage, OutcomeReporter(broker, source="support-desk") as outcomes:
    for tokens in (900, 1_400):
        call = UsageEvent(
            provider="openai",
            model="gpt-4o-mini",
            input_tokens=tokens,
            output_tokens=60,
            team_id="support",
            use_case="ticket-triage",
            session_id=session,
        )
        usage.report(call)
    outcomes.report(
        OutcomeEvent(
            team_id="support",
            use_case="ticket-triage",
            kind="ticket_resolved",
            succeeded=True,
            quality=4.5,
            quality_kind="csat",
            value_usd=Decimal("7.00"),
            session_id=session,
        )
    )
