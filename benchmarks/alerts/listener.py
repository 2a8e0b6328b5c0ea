"""In: `governance.alerts`. Out: every alert as a reader of committed records gets it, with the moment it did."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.admin import list_partitions
from runtime.connection import KafkaConnection
from schemas.alerts import Alert


@dataclass(frozen=True, slots=True)
class Heard:
    """`at`: wall-clock seconds since the epoch when it could be read."""

    alert: Alert
    at: float


class Listener:
    """A thread with a consumer of its own, without a group. `with` starts and ends it; `heard` grows meanwhile."""

    def __init__(self, connection: KafkaConnection, topic: str) -> None:
        self.heard: list[Heard] = []
        count = list_partitions(AdminClient(connection.librdkafka()))[topic]
        self._consumer = Consumer(connection.consumer("listener", isolation_level="read_committed"))
        self._consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(count)])
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                message = self._consumer.poll(0.2)
                if message is None or message.error() is not None:
                    continue
                at, value = time.time(), message.value()
                if value is not None:
                    self.heard.append(Heard(Alert.model_validate_json(value), at))
        except BaseException as failure:  # noqa: BLE001 - raised where the thread is joined
            self._failure = failure
