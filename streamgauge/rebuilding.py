"""In: settings. Out: the state of every tally partition that was lost, rebuilt: the rooms put together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.clock import SystemClock
from runtime.connection import KafkaConnection
from runtime.health import Health
from schemas.topics import Topics
from streams.agents.adjustments import AdjustmentLog, NoAdjustments
from streams.agents.config import AgentsConfig
from streams.agents.history import UsageHistory
from streams.agents.kafka_adjustments import KafkaAdjustmentLog
from streams.agents.kafka_store import KafkaStateStore, KafkaTallyLog
from streams.agents.rebuild import Rebuilder, Rebuilt
from streams.agents.shard import Counts
from streams.agents.standing import Standing

if TYPE_CHECKING:
    from schemas.alerts import Alert
    from schemas.control.snapshot import ControlSnapshot
    from schemas.status import BudgetStatus, GovernanceStatus
    from streamgauge.settings import Settings

#: (done, total) tally messages; the total is not known.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """One partition that was, or would be, rebuilt."""

    why: str
    rebuilt: Rebuilt

    def as_json(self) -> dict[str, Any]:
        return {
            "partition": self.rebuilt.partition,
            "why": self.why,
            "tally_messages": self.rebuilt.messages,
            "next_offset": self.rebuilt.next_offset,
            "teams": self.rebuilt.teams,
            "budgets": self.rebuilt.budgets,
            "missing_alerts": [alert.model_dump(mode="json") for alert in self.rebuilt.settlement.alerts],
            "history_before": {str(partition): first for partition, first in self.rebuilt.before.items()},
            "history_uneven_events": self.rebuilt.uneven,
            "history_refused_events": self.rebuilt.refused[0],
            "history_refused_nanousd": self.rebuilt.refused[1],
        }

    def as_row(self) -> tuple[str, ...]:
        before = self.rebuilt.before
        return (
            str(self.rebuilt.partition),
            self.why,
            f"{self.rebuilt.messages:,}",
            f"{self.rebuilt.teams:,}",
            f"{self.rebuilt.budgets:,}",
            str(len(self.rebuilt.settlement.alerts)),
            f"ClickHouse, for {len(before)} input partitions" if before else "nothing",
        )


def rebuild_agents(
    settings: Settings,
    *,
    dry_run: bool = False,
    every: bool = False,
    without_history: bool = False,
    accept_differences: bool = False,
    progress: Progress | None = None,
) -> list[PartitionReport]:
    """Rebuild what is damaged, or with `every` all. Raises GroupInUse while an agent runs, HistoryMissing,
    HistoryUneven.
    """
    from runtime.log_identity import log_identity
    from sinks.database import Database
    from sinks.recovery.usage_history import ClickHouseHistory
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import agents_config, clickhouse_target, kafka_connection, topic_names

    connection = kafka_connection(settings, client_id=f"{settings.kafka.client_id}.rebuild")
    reach_kafka(connection)
    topics = topic_names(settings)
    history: ClickHouseHistory | None = None
    if not without_history:
        target = clickhouse_target(settings)
        history = ClickHouseHistory(lambda: Database.open(target), log_identity(connection, topics.events))
    try:
        return rebuild_partitions(
            agents_config(settings),
            connection,
            topics,
            history,
            dry_run=dry_run,
            every=every,
            accept_differences=accept_differences,
            progress=progress,
        )
    finally:
        if history is not None:
            history.close()


def rebuild_partitions(
    config: AgentsConfig,
    connection: KafkaConnection,
    topics: Topics,
    history: UsageHistory | None,
    *,
    dry_run: bool = False,
    every: bool = False,
    accept_differences: bool = False,
    progress: Progress | None = None,
) -> list[PartitionReport]:
    """1 nobody else is at work; 2 read what was told; per partition: 3 take it over, 4 rebuild, 5 write.

    A crash after 3 or 4 has written nothing of this partition; after 5 it is whole, and the next run passes it over.
    """
    from confluent_kafka.admin import AdminClient

    from runtime.admin import list_partitions, refuse_mismatch
    from runtime.group_admin import require_empty

    found = list_partitions(AdminClient(connection.librdkafka()))
    refuse_mismatch(topics, found)
    require_empty(connection, config.group, "before their state is rebuilt")  # 1
    told_on = [name for name in (topics.status, topics.status_users) if name in found]
    standing = Standing.of(_alerts(connection, topics), _statuses(connection, told_on))  # 2
    stopping = threading.Event()
    adjustments: AdjustmentLog = NoAdjustments()
    if topics.adjustments in found:
        adjustments = KafkaAdjustmentLog(connection, topics, stopping)
    done = 0

    def tell(messages: int) -> None:
        if progress is not None:
            progress(done + messages, 0)

    rebuilder = Rebuilder(
        config,
        Counts(topics.event_partitions, topics.tally_partitions),
        KafkaTallyLog(connection, topics, config.group),
        adjustments,
        history,
        standing,
        _control(connection, topics),
        SystemClock(),
        tell,
        accept_differences=accept_differences,
    )
    reports: list[PartitionReport] = []
    for partition in range(topics.tally_partitions):
        store = KafkaStateStore(partition, connection, topics, Health(), stopping)
        records = store.read() if dry_run else store.open()  # 3
        damage = rebuilder.damage(partition, records)
        if damage is not None or every:
            rebuilt = rebuilder.rebuild(partition, records)  # 4
            if not dry_run:
                store.commit(rebuilt.settlement)  # 5
            reports.append(PartitionReport(damage or "asked for", rebuilt))
            done += rebuilt.messages
            tell(0)
        store.close()
    return reports


def _control(connection: KafkaConnection, topics: Topics) -> ControlSnapshot:
    from runtime.control_log import ControlLog

    log = ControlLog(connection, topics.control)
    try:
        return log.read_to_end()
    finally:
        log.close()


def _alerts(connection: KafkaConnection, topics: Topics) -> Iterator[Alert]:
    from schemas.alerts import Alert
    from streamgauge.tail import read_topic

    for record in read_topic(connection, topics.alerts):
        if record.value is not None:
            yield Alert.model_validate_json(record.value)


def _statuses(
    connection: KafkaConnection, names: Iterable[str]
) -> Iterator[tuple[str, BudgetStatus | GovernanceStatus]]:
    """What stands on all these topics: those of budgets about one person stand on their own. What one retired may stand
    on the other, where a budget has become one person's, or is no longer.
    """
    from schemas.status import GOVERNANCE, BudgetStatus, GovernanceStatus
    from streamgauge.tail import read_topic

    for name in names:
        newest = {record.key: record.value for record in read_topic(connection, name)}
        for key, value in newest.items():
            if key is not None and value is not None:
                kind = GovernanceStatus if key.startswith(f"{GOVERNANCE}|".encode()) else BudgetStatus
                yield key.decode(), kind.model_validate_json(value)
