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
    from streamgauge.demo.matching import Matching
    from streamgauge.demo.watcher import Seen

#: False pages that the demo accepts in a month of five incidents.
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
            f"incident {incident.name} of team {incident.team} at {incident.expected_at:%Y-%m-%d %H:%M} has no alert"
            for incident in self.matching.missed
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
            "incidents": [
                {
                    "name": one.incident.name,
                    "team": one.incident.team,
                    "kind": one.incident.alert_kind,
                    "starts_at": one.incident.starts_at.isoformat(),
                    "expected_at": one.incident.expected_at.isoformat(),
                    "sentence": one.incident.sentence,
                    "alert": None if one.alert is None else one.alert.alert_id,
                    "alert_team": None if one.alert is None else one.alert.scope.team,
                    "alert_kind": None if one.alert is None else one.alert.kind,
                    "alert_at": None if one.alert is None else one.alert.occurred_at.isoformat(),
                    "alert_summary": None if one.alert is None else one.alert.summary,
                }
                for one in self.matching.incidents
            ],
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
