"""In: where ClickHouse is. Out: a connection for one question of the agents, and its troubles in words.

Whatever ClickHouse or Kafka says, the agents hear NotYet: they go on without an answer, and ask again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException

from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.log_identity import log_identity
from schemas.topics import Topics
from sinks.database import Database
from sinks.errors import code_of, sentence_of, verdict
from sinks.recovery.bases import BaseSums
from streams.agents.history import NotYet

if TYPE_CHECKING:
    from sinks.config import ClickHouseTarget

#: ClickHouse's codes for a table and a database that are not there: the sink has not made them yet.
_NOT_MADE: Final = (60, 81)
#: Things that are named one by one.
_NAMED: Final = 3
_LONGEST: Final = 200


class Asking:
    """`with asking as (database, log):` asks; the connection stays for the next question. `log`: identity of the log
    that offsets count in. Raises NotYet for whatever keeps ClickHouse or Kafka from answering. Not thread-safe.
    """

    def __init__(self, target: ClickHouseTarget, connection: KafkaConnection, topics: Topics, clock: Clock) -> None:
        self.connection, self.topics, self.clock = connection, topics, clock
        self._target = target
        self._database: Database | None = None
        self._log: str | None = None

    def __enter__(self) -> tuple[Database, str]:
        try:
            if self._log is None:
                self._log = log_identity(self.connection, self.topics.events)
            if self._database is None:
                self._database = Database.open(self._target)
        except (ClickHouseError, OSError, KafkaException) as error:
            raise self._not_yet(error) from error
        return self._database, self._log

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, (ClickHouseError, OSError, KafkaException)):
            raise self._not_yet(error) from error

    def _not_yet(self, error: Exception) -> NotYet:
        if isinstance(error, KafkaException):
            return NotYet(f"Kafka does not answer ({error.args[0].str()})")
        self.close()
        if code_of(error) in _NOT_MADE:
            return NotYet("ClickHouse has no tables yet: start `streamgauge sink`")
        said = sentence_of(error)[:_LONGEST]
        if verdict(error) == "transient":
            return NotYet(f"ClickHouse does not answer ({said})")
        return NotYet(f"ClickHouse refuses the question ({said})", renew=True)

    def close(self) -> None:
        """Give back the connection; the next question opens another."""
        if self._database is not None:
            self._database.close()
            self._database = None


def require_rows(sums: BaseSums, before: Mapping[int, int]) -> None:
    """NotYet while ClickHouse does not have everything below these offsets."""
    short = []
    for partition, offset in sorted(before.items()):
        reached = sums.reaches(partition) if offset else 0
        if reached < offset:
            short.append(f"partition {partition} to offset {reached} of {offset}")
    if short:
        raise NotYet(f"ClickHouse has {listed(short)}; waiting for the sink")


def listed(texts: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
