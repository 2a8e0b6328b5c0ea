"""In: `governance.alerts` and `governance.status`. Out: what a read-committed subscriber sees of them, as it comes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from runtime.connection import KafkaConnection
from schemas.status import GOVERNANCE
from schemas.topics import Topics
from tests.crash.oracle import Told


@dataclass(frozen=True, slots=True)
class Heard:
    """One alert message."""

    alert_id: str
    revision: int
    state: str
    kind: str
    told: Told | None


class Subscriber:
    """Reads both topics from their beginning; `tick` takes what has come."""

    def __init__(self, connection: KafkaConnection, topics: Topics) -> None:
        self._alerts, self._status = topics.alerts, topics.status
        self._consumer = Consumer(
            {
                "bootstrap.servers": connection.bootstrap,
                "group.id": f"{topics.prefix}crash.subscriber",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
                "log_level": 2,
            }
        )
        self._consumer.assign([TopicPartition(topics.alerts, 0, 0), TopicPartition(topics.status, 0, 0)])
        self.heard: list[Heard] = []
        self.times: Counter[tuple[str, int]] = Counter()
        #: What each budget stands at: (budget, start of the period in µs) -> used. Retired periods are gone.
        self.used: dict[tuple[str, int], int] = {}

    def tick(self) -> None:
        for message in self._consumer.consume(1_000, 0.0):
            if message.error() is not None:
                continue
            if message.topic() == self._alerts:
                self._hear(json.loads(message.value() or b"{}"))
            else:
                self._note(message.key() or b"", message.value())

    def _hear(self, alert: dict[str, Any]) -> None:
        told = None
        if alert["kind"] == "budget":
            told = Told(alert["budget_id"], _us(alert["window"]["start"]), alert["level"])
        heard = Heard(alert["alert_id"], alert["revision"], alert["state"], alert["kind"], told)
        self.heard.append(heard)
        self.times[heard.alert_id, heard.revision] += 1

    def _note(self, key: bytes, value: bytes | None) -> None:
        budget, _, start = key.decode().partition("|")
        if budget == GOVERNANCE:
            return
        place = (budget, _us(start))
        if value is None:
            self.used.pop(place, None)
        else:
            self.used[place] = json.loads(value)["used"]

    def close(self) -> None:
        self._consumer.close()


def _us(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp()) * 1_000_000
