"""In: a new count for the topics that follow the count of usage.events. Out: all of them grown to it, usage.events
last.

While no role runs, one topic after the other: usage.fingerprints first, so that no event can arrive in a partition for
which ids cannot be remembered. A crash in between leaves counts that differ: every worker refuses to start on them, and
the same call again goes on.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from confluent_kafka.admin import AdminClient, NewPartitions

from runtime.admin import list_partitions
from runtime.connection import KafkaConnection
from runtime.group_admin import require_empty
from schemas.topics import SPECS, Topics

_ORDER: Final = ("usage.fingerprints", "usage.enriched", "usage.outcomes", "usage.events")


class CannotGrow(ValueError):
    """The count that was asked for cannot be had; the message says why."""


def grow_events(
    connection: KafkaConnection, topics: Topics, wanted: int, groups: Collection[str], timeout_s: float = 30.0
) -> dict[str, tuple[int, int]]:
    """(before, after) by topic, in the order in which they were grown; those that had the count already are left out.

    `groups`: of all roles. Raises GroupInUse while one has members, CannotGrow, and KafkaException.
    """
    assert {spec.name for spec in SPECS if spec.count == "events"} == set(_ORDER)
    admin = AdminClient(connection.librdkafka())
    found = list_partitions(admin, timeout_s)
    names = [topics.name(name) for name in _ORDER]
    if missing := [name for name in names if name not in found]:
        raise CannotGrow(f"topics are missing ({', '.join(missing)}): create them with `streamgauge topics`")
    if larger := [name for name in names if found[name] > wanted]:
        raise CannotGrow(
            f"{', '.join(f'{name} has {found[name]} partitions' for name in larger)}: Kafka cannot take partitions "
            f"away, so give at least {max(found[name] for name in names)}"
        )
    for group in groups:
        require_empty(connection, group, "before the topics grow")
    grown = {}
    for name in names:
        if found[name] < wanted:
            admin.create_partitions([NewPartitions(name, wanted)], operation_timeout=timeout_s)[name].result()
            _await_count(admin, name, wanted, timeout_s)
            grown[name] = (found[name], wanted)
    return grown


def _await_count(admin: AdminClient, name: str, wanted: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while list_partitions(admin, timeout_s).get(name) != wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} was grown to {wanted} partitions, which is not known after {timeout_s:.0f} s")
        time.sleep(0.05)
