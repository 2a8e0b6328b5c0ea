"""In: the topics that enrich and the agents write. Out: running counts, budgets and alerts, groupless, on a thread of
its own.

Ledger rows are kept by source range, so a range that is delivered twice counts once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.clock import to_datetime
from runtime.connection import KafkaConnection
from schemas.alerts import Alert
from schemas.positions import LEDGER_HEADER, LedgerRow, read_ledger
from schemas.status import GOVERNANCE, BudgetStatus
from schemas.topics import Topics


@dataclass(frozen=True, slots=True)
class Seen:
    """What the pipeline has said so far. `read` == `enriched` + `duplicates` + `rejected` of every range that is
    finished.
    """

    read: int = 0
    enriched: int = 0
    duplicates: int = 0
    rejected: int = 0
    cost_nanousd: int = 0
    newest_event: datetime | None = None
    budgets: tuple[BudgetStatus, ...] = ()
    alerts: tuple[Alert, ...] = ()


class Watcher:
    """`with Watcher(...) as watcher:` follows; `seen()` is what is known now. Raises from `seen` what its
    thread met.
    """

    def __init__(self, connection: KafkaConnection, topics: Topics) -> None:
        self._topics = topics
        self._consumer = Consumer(connection.consumer("streamgauge.demo.unused", isolation_level="read_committed"))
        wanted = [(topics.enriched, topics.event_partitions), (topics.alerts, 1), (topics.status, 1)]
        self._consumer.assign(
            [TopicPartition(name, place, OFFSET_BEGINNING) for name, count in wanted for place in range(count)]
        )
        self._ledger: dict[tuple[int, int], LedgerRow] = {}
        self._budgets: dict[str, BudgetStatus] = {}
        self._alerts: list[Alert] = []
        self._lock = threading.Lock()
        self._halt = threading.Event()
        self._broken: Exception | None = None
        self._thread = threading.Thread(target=self._follow, name="watcher", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halt.set()
        self._thread.join(timeout=10)
        self._consumer.close()

    def seen(self) -> Seen:
        with self._lock:
            if self._broken is not None:
                raise self._broken
            rows = list(self._ledger.values())
            budgets, alerts = tuple(self._budgets.values()), tuple(self._alerts)
        newest = max((row.max_event_us for row in rows if row.max_event_us is not None), default=None)
        return Seen(
            read=sum(row.read for row in rows),
            enriched=sum(row.enriched for row in rows),
            duplicates=sum(row.duplicates for row in rows),
            rejected=sum(row.rejected for row in rows),
            cost_nanousd=sum(row.cost_nanousd for row in rows),
            newest_event=None if newest is None else to_datetime(newest),
            budgets=budgets,
            alerts=alerts,
        )

    def _follow(self) -> None:
        try:
            while not self._halt.is_set():
                for message in self._consumer.consume(1_000, 0.2):
                    self._take(message)
        except Exception as error:  # noqa: BLE001  handed to whoever asks next
            with self._lock:
                self._broken = error

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                return
            raise KafkaException(error)
        topic, value = message.topic(), message.value()
        with self._lock:
            if topic == self._topics.enriched:
                headers = message.headers()
                if any(header[0] == LEDGER_HEADER for header in headers or ()):
                    row = read_ledger(headers)
                    self._ledger[row.partition, row.first] = row
            elif value is None:
                return
            elif topic == self._topics.alerts:
                self._alerts.append(Alert.model_validate_json(value))
            elif not (message.key() or b"").startswith(f"{GOVERNANCE}|".encode()):
                status = BudgetStatus.model_validate_json(value)
                known = self._budgets.get(status.budget_id)
                if known is None or known.period.start <= status.period.start:
                    self._budgets[status.budget_id] = status
