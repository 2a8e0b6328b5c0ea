"""In: nothing. Out: where a role can be struck: the numbered steps of its loops, as calls of methods.

Each point names a class, a method and a moment, and wraps it from outside: the pipeline's code knows nothing of it. A
point counts only the calls for which `when` holds, so that the blow falls into the step that is meant. The text of a
point says what has been done at that moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

Role = Literal["enrich", "agents", "sink"]
ROLES: Final[tuple[Role, ...]] = ("enrich", "agents", "sink")
#: before, after: around the method. publish: when a part of its messages is acknowledged. transaction: within it.
Way = Literal["before", "after", "publish", "transaction"]

#: (the object, the call's positional arguments, its result; None before it).
When = Callable[[Any, tuple[Any, ...], Any], bool]


@dataclass(frozen=True, slots=True)
class Point:
    """`target` is MODULE:CLASS. `share`: how much of what the step writes is written then, as a fraction.

    `once`: it is met but once or seldom in a worker's life, so the first time must do.
    """

    role: Role
    name: str
    says: str
    way: Way
    target: str
    method: str
    when: When = lambda _self, _arguments, _result: True
    share: float = 0.0
    once: bool = False

    @property
    def key(self) -> str:
        return f"{self.role}: {self.name}"


def _in_thread(name: str) -> When:
    return lambda _self, _arguments, _result: threading.current_thread().name == name


def _accepted_in_thread(name: str) -> When:
    return lambda _self, _arguments, result: bool(result) and threading.current_thread().name == name


def _into(table: str) -> When:
    return lambda _self, arguments, _result: arguments[0] == table


def _returned(_self: Any, _arguments: tuple[Any, ...], result: Any) -> bool:
    return bool(result)


def _a_batch(_self: Any, arguments: tuple[Any, ...], _result: Any) -> bool:
    """The messages of a batch, not heartbeats."""
    return any(message.topic.endswith("usage.fingerprints") for message in arguments[0])


def _heartbeats(_self: Any, arguments: tuple[Any, ...], _result: Any) -> bool:
    return not _a_batch(_self, arguments, _result)


def _a_repeat(source: Any, _arguments: tuple[Any, ...], result: Any) -> bool:
    """The batch that a predecessor began."""
    return result is not None and any(state.repeat is result for state in source.states.values())


def _repeating(source: Any, _arguments: tuple[Any, ...], _result: Any) -> bool:
    return any(state.repeat is not None for state in source.states.values())


def _with_alerts(_self: Any, arguments: tuple[Any, ...], _result: Any) -> bool:
    return bool(arguments[0].alerts)


def _with_rejections(_self: Any, arguments: tuple[Any, ...], _result: Any) -> bool:
    return bool(arguments[1])


_SOURCE: Final = "streams.enrich.source:EventSource"
_PUBLISHER: Final = "streams.enrich.publisher:Publisher"
_KEEPER: Final = "streams.agents.keeper:ShardKeeper"
_STORE: Final = "streams.agents.kafka_store:KafkaStateStore"
_EVENTS: Final = "sinks.events.enriched_writer:EnrichedWriter"
_RECORDS: Final = "sinks.records.records_writer:RecordsWriter"
_MEMBER: Final = "sinks.group.membership:Membership"

_ENRICH: Final = (
    Point("enrich", "before 1", "nothing is consumed", "before", _SOURCE, "next_batch"),
    Point("enrich", "after 1", "a batch is consumed", "after", _SOURCE, "next_batch", _returned),
    Point("enrich", "after 2", "the intent is committed", "after", _SOURCE, "write_intent"),
    Point(
        "enrich",
        "in a repeat, after 1",
        "a begun batch is read again",
        "after",
        _SOURCE,
        "next_batch",
        _a_repeat,
        once=True,
    ),
    Point("enrich", "3 none", "nothing is produced", "publish", _PUBLISHER, "publish", _a_batch, 0.0),
    Point(
        "enrich",
        "in a repeat, after 2",
        "its intent stands again",
        "after",
        _SOURCE,
        "write_intent",
        _repeating,
        once=True,
    ),
    Point("enrich", "3 one", "one message is acknowledged", "publish", _PUBLISHER, "publish", _a_batch, 0.001),
    Point("enrich", "3 half", "half are acknowledged", "publish", _PUBLISHER, "publish", _a_batch, 0.5),
    Point("enrich", "3 all but one", "all but one are", "publish", _PUBLISHER, "publish", _a_batch, 0.999),
    Point("enrich", "before 4", "all are acknowledged", "publish", _PUBLISHER, "publish", _a_batch, 1.0),
    Point("enrich", "after 4", "the batch is remembered", "after", "streams.enrich.run:Enricher", "step", _returned),
    Point(
        "enrich",
        "before completion",
        "nothing to read, batch complete",
        "before",
        _SOURCE,
        "write_completion",
        once=True,
    ),
    Point("enrich", "after completion", "the completion is committed", "after", _SOURCE, "write_completion", once=True),
    Point(
        "enrich",
        "half a heartbeat",
        "half are told of idleness",
        "publish",
        _PUBLISHER,
        "publish",
        _heartbeats,
        0.5,
        once=True,
    ),
    Point("enrich", "assigned", "state is rebuilt, nothing read", "after", _SOURCE, "_assigned", once=True),
)
_AGENTS: Final = (
    Point("agents", "before 1", "nothing of the shard is known", "before", _KEEPER, "open", once=True),
    Point("agents", "1 fenced", "the owner before is shut out", "before", _STORE, "read", once=True),
    Point("agents", "after 1", "the state is read", "after", _KEEPER, "open", once=True),
    Point("agents", "after 2", "a message is taken", "after", _KEEPER, "offer", _returned),
    Point("agents", "after 3", "judged, nothing written", "after", _KEEPER, "settle", _returned),
    Point("agents", "4 not begun", "no transaction", "before", _STORE, "_write"),
    Point("agents", "4 begun", "a transaction without records", "transaction", _STORE, "_write", share=0.0),
    Point("agents", "4 half", "half of its records", "transaction", _STORE, "_write", share=0.5),
    Point("agents", "4 all", "all of its records", "transaction", _STORE, "_write", share=1.0),
    Point("agents", "4 alerts", "alerts in it, not committed", "transaction", _STORE, "_write", _with_alerts, 1.0),
    Point("agents", "after 4", "committed", "after", _STORE, "_write"),
    Point("agents", "after 4, alerts", "alerts are committed", "after", _STORE, "_write", _with_alerts),
)
_SINK: Final = (
    Point("sink", "assigned", "the place is found", "after", _EVENTS, "_load", once=True),
    Point("sink", "after 1", "ranges are collected", "before", _EVENTS, "_flush"),
    Point("sink", "after 2", "the intent is committed", "after", _MEMBER, "commit", _accepted_in_thread("sink-events")),
    Point("sink", "before 3", "no event is inserted", "before", _EVENTS, "_insert", _into("usage_events_raw")),
    Point("sink", "after 3", "events are inserted", "after", _EVENTS, "_insert", _into("usage_events_raw")),
    Point("sink", "after 5", "ledger rows are inserted", "after", _EVENTS, "_insert", _into("usage_ledger")),
    Point("sink", "after 6", "the offset is committed", "after", _EVENTS, "_flush"),
    Point("sink", "records after 1", "records are collected", "before", _RECORDS, "_flush"),
    Point(
        "sink",
        "records after 2",
        "refused outcomes are published",
        "after",
        _RECORDS,
        "_refuse",
        _with_rejections,
        once=True,
    ),
    Point("sink", "records 3 half", "one table is inserted", "after", _RECORDS, "_insert"),
    Point("sink", "records after 3", "all are inserted", "before", _MEMBER, "commit", _in_thread("sink-records")),
    Point(
        "sink",
        "records after 4",
        "offsets are committed",
        "after",
        _MEMBER,
        "commit",
        _accepted_in_thread("sink-records"),
    ),
)
POINTS: Final[dict[str, Point]] = {point.key: point for point in (*_ENRICH, *_AGENTS, *_SINK)}


def points_of(role: Role) -> list[Point]:
    """In the order in which they are to be struck: a repeat needs a begun batch before it."""
    return [point for point in POINTS.values() if point.role == role]
