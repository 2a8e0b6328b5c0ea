"""In: the status topics. Out: every status that stands, and which period of a budget is the running one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.status import BudgetStatus
    from streamgauge.cli.signing_options import Desk


def running(statuses: Iterable[BudgetStatus], now: datetime) -> dict[str, BudgetStatus]:
    """The running period of each budget: the one that holds `now`, else the one that starts last."""
    found: dict[str, BudgetStatus] = {}
    for status in sorted(statuses, key=lambda one: one.period.start):
        known = found.get(status.budget_id)
        if known is None or not known.period.start <= now < known.period.end:
            found[status.budget_id] = status
    return found


def read_statuses(desk: Desk) -> tuple[list[BudgetStatus], bool]:
    """All statuses that stand, and whether those of people are closed to us."""
    from confluent_kafka import KafkaError, KafkaException

    from streamgauge.tail import TopicMissing

    found = list(_of_topic(desk, desk.topics.status))
    try:
        return found + list(_of_topic(desk, desk.topics.status_users)), False
    except TopicMissing:
        # A topic that we may not see looks like one that is not there.
        return found, True
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise
        return found, True


def _of_topic(desk: Desk, topic: str) -> Iterator[BudgetStatus]:
    from schemas.status import GOVERNANCE, BudgetStatus
    from streamgauge.tail import read_topic

    found: dict[bytes, BudgetStatus] = {}
    for record in read_topic(desk.connection, topic):
        if record.key is None or record.key.startswith(f"{GOVERNANCE}|".encode()):
            continue
        if record.value is None:
            found.pop(record.key, None)
        else:
            found[record.key] = BudgetStatus.model_validate_json(record.value)
    yield from found.values()
