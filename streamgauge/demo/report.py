"""In: figures from both ends of the pipeline. Out: the report: the same for people and as JSON, and which figure does
not hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from schemas.status import BudgetStatus
    from sources.fleet import Expected
    from streamgauge.asking import Answer
    from streamgauge.demo.matching import Matched, Matching
    from streamgauge.demo.watcher import Seen

#: False pages that the demo accepts in a month of eight incidents.
MAX_UNPLANTED: Final = 2


@dataclass(frozen=True, slots=True)
class Question:
    """What an analyst asked and what ClickHouse answered."""

    title: str
    sql: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Report:
    """`sent`: as the producer counted what Kafka acknowledged. `rows`: what the view usage_events holds."""

    seed: int
    sent: int
    seen: Seen
    rows: int
    expected: Expected
    matching: Matching
    questions: tuple[Question, ...]
    seconds: float

    @property
    def budgets(self) -> list[BudgetStatus]:
        return sorted(self.seen.budgets, key=lambda status: (-status.used_share, status.budget_id))

    def failures(self) -> list[str]:
        """One sentence for each figure that does not hold; empty when the demo is right."""
        seen, expected = self.seen, self.expected
        summed = seen.enriched + seen.duplicates + seen.rejected
        failures = []
        if self.sent != summed:
            failures.append(
                f"events_sent {self.sent} is not enriched {seen.enriched} + duplicates {seen.duplicates} + "
                f"rejected {seen.rejected} = {summed}"
            )
        if self.rows != seen.enriched:
            failures.append(f"clickhouse_rows {self.rows} is not enriched {seen.enriched}")
        for name, found, planted in (
            ("enriched", seen.enriched, expected.accepted),
            ("duplicates", seen.duplicates, expected.duplicates),
            ("rejected", seen.rejected, expected.rejected),
        ):
            if found != planted:
                failures.append(f"{name} {found} is not the {planted} that were planted")
        failures += [
            f"incident {one.incident.name} of team {one.incident.team} at {one.incident.expected_at:%Y-%m-%d %H:%M} "
            f"{one.fault}"
            for one in self.matching.incidents
            if one.fault is not None
        ]
        if len(self.matching.unplanted) > MAX_UNPLANTED:
            failures.append(
                f"{len(self.matching.unplanted)} pages match no incident, more than {MAX_UNPLANTED}: "
                + "; ".join(alert.summary for alert in self.matching.unplanted)
            )
        return failures

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": not self.failures(),
            "failures": self.failures(),
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "events_sent": self.sent,
            "enriched": self.seen.enriched,
            "duplicates": self.seen.duplicates,
            "rejected": self.seen.rejected,
            "clickhouse_rows": self.rows,
            "rejected_by_code_planted": dict(self.expected.rejected_by_code),
            "budgets": [status.model_dump(mode="json") for status in self.budgets],
            "alerts": [alert.model_dump(mode="json") for alert in self.seen.alerts],
            "incidents": [_incident(one) for one in self.matching.incidents],
            "unplanted_pages": [alert.alert_id for alert in self.matching.unplanted],
            "questions": [
                {
                    "title": question.title,
                    "sql": question.sql,
                    "columns": list(question.answer.columns),
                    "rows": [[str(value) for value in row] for row in question.answer.rows],
                }
                for question in self.questions
            ],
        }


def _incident(one: Matched) -> dict[str, Any]:
    """What was planted, and beside it what its alert said: `alert_*` are null where nobody noticed."""
    incident, alert, told = one.incident, one.alert, one.told
    return {
        "name": incident.name,
        "team": incident.team,
        "kind": incident.alert_kind,
        "starts_at": incident.starts_at.isoformat(),
        "expected_at": incident.expected_at.isoformat(),
        "sentence": incident.sentence,
        "looks": list(incident.looks),
        "activity": incident.activity,
        "fault": one.fault,
        "alert": None if alert is None else alert.alert_id,
        "alert_team": None if alert is None else alert.scope.team,
        "alert_kind": None if alert is None else alert.kind,
        "alert_at": None if alert is None else alert.occurred_at.isoformat(),
        "alert_pages": None if alert is None else alert.pages,
        "alert_summary": None if told is None else told.summary,
        "alert_incident": None if told is None else told.incident,
        "alert_confidence": None if told is None else told.confidence,
        "alert_activity": None if told is None else told.activity,
        "alert_explanation": [] if told is None else [cause.model_dump(mode="json") for cause in told.explanation],
        "alert_carried_by": [] if told is None else [cause.model_dump(mode="json") for cause in told.carried_by],
        "alert_behind": None if told is None else told.behind,
        "alert_impact": None if told is None else told.impact,
    }
