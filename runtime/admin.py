"""In: a connection and the topics that should be. Out: topics created where missing, and what differs from the contract
in words.

Idempotent. A differing partition count is never changed here: it is a contract between processes, so it is refused with
the migration. What a broker does not tell (the embedded one tells no configuration) is not compared.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from runtime.connection import KafkaConnection
from schemas.topics import SPECS, Count, Topics, TopicSpec

TopicAction = Literal["created", "present", "missing"]
#: What a broker may refuse to tell without being broken: the embedded one, or a user without the right to describe.
_UNTOLD: Final = (
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError.INVALID_REQUEST,
    KafkaError.UNKNOWN,
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
)


@dataclass(frozen=True, slots=True)
class ConfigDrift:
    """One setting of one topic that is not as the contract says, and the command that would change it."""

    topic: str
    setting: str
    found: str
    wanted: str

    def command(self, bootstrap: str) -> str:
        return (
            f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics "
            f"--entity-name {self.topic} --add-config {self.setting}={self.wanted}"
        )


@dataclass(frozen=True, slots=True)
class TopicState:
    """What became of one topic, or what it is."""

    spec: TopicSpec
    name: str
    action: TopicAction
    partitions: int
    drift: tuple[ConfigDrift, ...] = ()


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One topic with `found` partitions where the settings say `wanted`."""

    spec: TopicSpec
    topic: str
    found: int
    wanted: int


class PartitionMismatch(RuntimeError):
    """Topics have other partition counts than the settings say; the message is the migration."""

    def __init__(self, mismatches: Sequence[Mismatch], agreeing: Collection[Count] = ()) -> None:
        """`agreeing`: counts that other topics do have as the settings say."""
        self.mismatches = tuple(mismatches)
        counts = sorted({(one.spec.count, one.wanted) for one in mismatches})
        told = [
            _migration(count, wanted, [one for one in mismatches if one.spec.count == count], count in agreeing)
            for count, wanted in counts
        ]
        super().__init__("partition counts are a contract and differ from the settings:\n" + "\n".join(told))


def list_partitions(admin: AdminClient, timeout_s: float = 10.0) -> dict[str, int]:
    """Partition count by topic. KafkaException when the broker does not answer."""
    metadata = admin.list_topics(timeout=timeout_s)
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def inspect_topics(connection: KafkaConnection, topics: Topics, timeout_s: float = 10.0) -> list[TopicState]:
    """What is there, in the order of SPECS; changes nothing. Raises PartitionMismatch."""
    admin = AdminClient(connection.librdkafka())
    found = list_partitions(admin, timeout_s)
    refuse_mismatch(topics, found)
    present = [spec for spec in SPECS if topics.name(spec.name) in found]
    configs = _read_configs(admin, [topics.name(spec.name) for spec in present], timeout_s)
    states = []
    for spec in SPECS:
        name = topics.name(spec.name)
        action: TopicAction = "present" if name in found else "missing"
        states.append(TopicState(spec, name, action, found.get(name, 0), _drift(spec, name, configs.get(name))))
    return states


def create_topics(
    connection: KafkaConnection, topics: Topics, replication: int = -1, timeout_s: float = 30.0
) -> list[TopicState]:
    """Create what is missing and compare the rest. Raises PartitionMismatch before anything is created.

    `replication` -1: the broker's own default. KafkaException when the broker refuses.
    """
    before = inspect_topics(connection, topics, timeout_s)
    missing = [state for state in before if state.action == "missing"]
    if not missing:
        return before
    admin = AdminClient(connection.librdkafka())
    futures = admin.create_topics(
        [
            NewTopic(state.name, topics.partitions(state.spec), replication, config=state.spec.config())
            for state in missing
        ],
        operation_timeout=timeout_s,
        request_timeout=timeout_s,
    )
    for future in futures.values():
        try:
            future.result()
        except KafkaException as error:
            # Somebody else made it in the meantime: what they made is compared below.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    created = {state.name for state in missing}
    _await_metadata(admin, created, timeout_s)
    after = inspect_topics(connection, topics, timeout_s)
    return [
        TopicState(state.spec, state.name, "created", topics.partitions(state.spec), state.drift)
        if state.name in created
        else state
        for state in after
    ]


def _await_metadata(admin: AdminClient, names: Collection[str], timeout_s: float) -> None:
    """A topic is made before every broker knows of it, and a role that starts in between would miss it."""
    deadline = time.monotonic() + timeout_s
    while missing := sorted(set(names) - list_partitions(admin, timeout_s).keys()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"topics were created but are not known after {timeout_s:.0f} s: {', '.join(missing)}")
        time.sleep(0.05)


def refuse_mismatch(topics: Topics, found: Mapping[str, int]) -> None:
    """Raise PartitionMismatch if an existing topic has another partition count than `topics` says."""
    wrong = [
        Mismatch(spec, topics.name(spec.name), found[topics.name(spec.name)], topics.partitions(spec))
        for spec in SPECS
        if topics.name(spec.name) in found and found[topics.name(spec.name)] != topics.partitions(spec)
    ]
    if wrong:
        agreeing = {spec.count for spec in SPECS if found.get(topics.name(spec.name)) == topics.partitions(spec)}
        raise PartitionMismatch(wrong, agreeing)


def _migration(count: Count, wanted: int, mismatches: Sequence[Mismatch], others_agree: bool) -> str:
    """What to do about all topics that follow one count."""
    found = sorted({one.found for one in mismatches} | ({wanted} if others_agree else set()))
    has = ", ".join(f"{one.topic} has {one.found}" for one in mismatches)
    if count == "one":
        return f"  {has}, must have 1, for its order is its meaning: stop its readers, delete it, `streamgauge topics`."
    setting = "topics.event_partitions" if count == "events" else "topics.tally_partitions"
    head = f"  {has}; {setting} says {wanted}."
    keep = f"Set {setting} = {found[0]}" if len(found) == 1 else "Bring them to one count first"
    if count == "events":
        goal = max(wanted, *found)
        grow = (
            f"stop enrich, agents and sink, run `streamgauge topics --grow-events {goal}` (usage.fingerprints first, "
            f"usage.events last), set {setting} = {goal}, and start them again"
        )
        if len(found) > 1:
            return f"{head} Bring them to one count: {grow}."
        if found[0] < wanted:
            return f"{head} {keep}. Or grow them: {grow}."
        return f"{head} {keep} everywhere, with enrich, agents and sink stopped, and start them again."
    return f"{head} {keep}: it cannot be changed in place. For another one take a new topics.prefix and replay into it."


def _read_configs(admin: AdminClient, names: Sequence[str], timeout_s: float) -> dict[str, dict[str, str]]:
    """Settings by topic; a topic whose settings the broker does not tell is left out."""
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    configs: dict[str, dict[str, str]] = {}
    for resource, future in admin.describe_configs(resources, request_timeout=timeout_s).items():
        try:
            entries = future.result()
        except KafkaException as error:
            if error.args[0].code() in _UNTOLD:
                continue
            raise
        configs[resource.name] = {name: entry.value for name, entry in entries.items() if entry.value is not None}
    return configs


def _drift(spec: TopicSpec, name: str, found: Mapping[str, str] | None) -> tuple[ConfigDrift, ...]:
    if found is None:
        return ()
    return tuple(
        ConfigDrift(name, setting, found[setting], wanted)
        for setting, wanted in spec.config().items()
        if setting in found and found[setting] != wanted
    )
