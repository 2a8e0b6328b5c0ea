"""In: the topic `governance.status`. Out: what each budget stands at in its newest period."""

from __future__ import annotations

from runtime.connection import KafkaConnection
from schemas.status import GOVERNANCE, BudgetStatus
from schemas.topics import Topics
from streamgauge.tail import read_topic


def read_standing(connection: KafkaConnection, topics: Topics) -> dict[str, BudgetStatus]:
    """By budget id. Budgets about one person stand elsewhere, and are not read. TopicMissing without the topic."""
    newest: dict[bytes, BudgetStatus] = {}
    for record in read_topic(connection, topics.status):
        if record.key is None or record.key.startswith(f"{GOVERNANCE}|".encode()):
            continue
        if record.value is None:
            newest.pop(record.key, None)
        else:
            newest[record.key] = BudgetStatus.model_validate_json(record.value)
    found: dict[str, BudgetStatus] = {}
    for status in newest.values():
        known = found.get(status.budget_id)
        if known is None or known.period.start <= status.period.start:
            found[status.budget_id] = status
    return found
