"""In: the topics that a role stands on, asked again while it runs. Out: what makes going on wrong: another partition
count, a topic that is gone or was made again.

Offsets and homes of keys mean something only for one life of a topic with one count. Clients notice a grown topic
minutes later and go on without a word; a topic made again they read from offsets that counted in the old one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from runtime.admin import PartitionMismatch, list_partitions, refuse_mismatch
from runtime.connection import KafkaConnection
from schemas.topics import SPECS, Role, Topics

#: What brokers older than 2.8 say, which know no topic ids.
_UNTOLD = (KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE)


class TopicReplaced(RuntimeError):
    """A topic was deleted, or deleted and made again, while the role ran."""


class TopicGuard:
    """Remembers the topics as they are at its first `check`. Not thread-safe."""

    def __init__(self, connection: KafkaConnection, topics: Topics, role: Role, timeout_s: float = 10.0) -> None:
        self._connection = connection
        self._admin = self._new_admin()
        self._topics, self._timeout_s = topics, timeout_s
        self._names = sorted(topics.name(spec.name) for spec in SPECS if role in spec.readers or role in spec.writers)
        if role == "sink":
            # What ClickHouse remembers by offset, it remembers under the identity of this topic.
            self._names.append(topics.events)
        self._ids: Mapping[str, str] | None = None
        self._suspicion: str | None = None

    def check(self) -> None:
        """Raises PartitionMismatch or TopicReplaced when two checks in a row find the same; a broker that is just
        starting may know less than all. KafkaException when Kafka does not answer.
        """
        try:
            self._check()
        except (PartitionMismatch, TopicReplaced) as found:
            if self._suspicion == str(found):
                raise
            self._suspicion = str(found)
        except KafkaException:
            # A client that has seen its broker die may fail for minutes where a fresh one answers.
            self._admin = self._new_admin()
            raise
        else:
            self._suspicion = None

    def _new_admin(self) -> AdminClient:
        return AdminClient(self._connection.librdkafka(log_level=0))

    def _check(self) -> None:
        found = list_partitions(self._admin, self._timeout_s)
        # All of them, also those that this role does not touch: the counts are one contract.
        refuse_mismatch(self._topics, found)
        missing = sorted(set(self._names) - found.keys())
        ids = self._topic_ids(sorted(set(self._names) & found.keys()))
        if self._ids is None and not missing:
            self._ids = ids
        replaced = sorted(name for name, known in (self._ids or {}).items() if ids.get(name, known) != known)
        if missing:
            raise TopicReplaced(
                f"topics are gone: {', '.join(missing)}. If that was meant, make them again with `streamgauge topics`, "
                "look with `streamgauge offsets` at what the groups still remember of them, and start again"
            )
        if replaced:
            raise TopicReplaced(
                f"topics were deleted and made again while this role ran: {', '.join(replaced)}. Their offsets begin "
                "anew, so what was remembered by offset means nothing now: look with `streamgauge offsets` at what the "
                "groups remember of them, and start again"
            )

    def _topic_ids(self, names: Collection[str]) -> dict[str, str]:
        """Id by topic; empty where the broker tells none."""
        if not names:
            return {}
        ids = {}
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=self._timeout_s)
        for name, future in futures.items():
            try:
                ids[name] = str(future.result().topic_id)
            except KafkaException as error:
                if error.args[0].code() in _UNTOLD:
                    return {}
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        return ids
