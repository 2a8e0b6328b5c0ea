"""In: the topic `governance.status`. Out: what each budget stands at in its running period."""

from __future__ import annotations

from datetime import datetime

from confluent_kafka import KafkaError, KafkaException

from runtime.connection import KafkaConnection
from schemas.status import GOVERNANCE, BudgetStatus
from schemas.topics import Topics
from streamgauge.tail import Record, TopicMissing, read_topic


class StandingHidden(RuntimeError):
    """What budgets stand at cannot be read. The rest of a plan can be told without it."""


def read_standing(connection: KafkaConnection, topics: Topics, now: datetime) -> dict[str, BudgetStatus]:
    """By budget id: the period that holds `now`, else the last that has a status.

    Budgets about one person stand elsewhere, and are not read. StandingHidden where the topic cannot be read.
    """
    newest: dict[bytes, BudgetStatus] = {}
    for record in _records(connection, topics.status):
        if record.key is None or record.key.startswith(f"{GOVERNANCE}|".encode()):
            continue
        if record.value is None:
            newest.pop(record.key, None)
        else:
            newest[record.key] = BudgetStatus.model_validate_json(record.value)
    found: dict[str, BudgetStatus] = {}
    for status in sorted(newest.values(), key=lambda one: (one.period.start <= now < one.period.end, one.period.start)):
        found[status.budget_id] = status
    return found


def _records(connection: KafkaConnection, topic: str) -> list[Record]:
    try:
        return list(read_topic(connection, topic))
    except TopicMissing as missing:
        raise StandingHidden(str(missing)) from missing
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise
        raise StandingHidden(f"this login may not read {topic}") from error
