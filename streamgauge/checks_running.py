"""In: settings of an installation that should be running. Out: findings about its workers, offsets, lag, state and
tables; and what the probes of given workers say.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import defaultdict
from typing import Final

from confluent_kafka.admin import AdminClient

from runtime.admin import list_partitions
from runtime.connection import KafkaConnection
from runtime.group_admin import members_of
from runtime.group_offsets import GroupOffsets
from runtime.log_identity import log_identity
from runtime.recovery import Reader
from runtime.standstill import Place
from schemas.topics import Topics
from streamgauge.asking import open_database
from streamgauge.cli.role import groups_of
from streamgauge.findings import Finding
from streamgauge.offsets import ROLES, Standing, standings
from streamgauge.settings import Settings
from streamgauge.settings.convert import clickhouse_target, kafka_connection, topic_names

#: More waiting than a worker clears in a few seconds.
_MUCH: Final = 100_000
_PROBE_S: Final = 3.0


def workers(settings: Settings) -> Finding:
    """Members of each role's group."""
    connection, topics = kafka_connection(settings), topic_names(settings)
    counts: dict[str, int] = {}
    for role in ROLES:
        if role == "forward" and settings.forward.url is None:
            continue
        group = next(iter(groups_of(role, topics, settings.forward.instance).values()))
        counts[role] = len(members_of(connection, group))
    told = ", ".join(f"{role} {count}" for role, count in counts.items())
    absent = [role for role, count in counts.items() if not count]
    if absent:
        return Finding(
            "workers", "warning", told, f"start `streamgauge {absent[0]}`: its input waits in Kafka meanwhile"
        )
    return Finding("workers", "ok", told)


def offsets(settings: Settings) -> list[Finding]:
    """Whether every committed offset lies in its partition, and what waits."""
    connection, topics = kafka_connection(settings), topic_names(settings)
    found = list(standings(connection, topics))
    return [_in_range(found), _lag(found), _state(connection, topics, found)]


def _in_range(found: list[Standing]) -> Finding:
    wrong = [one for one in found if one.advice is not None]
    if wrong:
        first = wrong[0]
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return Finding(
            "offsets",
            "failed",
            f"{first.place.topic}[{first.place.partition}]: {first.look.committed} is {first.state} "
            f"({first.look.low} to {first.look.end}){more}",
            f"{first.advice} (`streamgauge offsets` shows all)",
        )
    return Finding("offsets", "ok", "all lie within their partitions")


def _lag(found: list[Standing]) -> Finding:
    waiting: dict[Reader, int] = defaultdict(int)
    for one in found:
        waiting[one.role] += one.look.waiting
    told = ", ".join(f"{role} {count:,}" for role, count in waiting.items()) + " messages wait"
    worst = max(waiting, key=lambda role: waiting[role], default=None)
    if worst is not None and waiting[worst] > _MUCH:
        return Finding("lag", "warning", told, f"see whether {worst} works, and scale it if it does")
    return Finding("lag", "ok", told)


def _state(connection: KafkaConnection, topics: Topics, found: list[Standing]) -> Finding:
    """Whether the agents that have read tallies have a state of them."""
    read = {one.place.partition for one in found if one.role == "agents" and one.look.committed > 0}
    counts = list_partitions(AdminClient(connection.librdkafka()))
    reader = GroupOffsets(connection, groups_of("agents", topics)[topics.tallies])
    try:
        looks = reader.looks([Place(topics.state, partition) for partition in range(counts.get(topics.state, 0))])
    finally:
        reader.close()
    empty = sorted(place.partition for place, look in looks.items() if look.end == 0 and place.partition in read)
    if empty:
        return Finding(
            "agents' state",
            "failed",
            f"{topics.state} holds nothing for partitions {', '.join(map(str, empty))}, whose tallies were read",
            "stop the agents and run `streamgauge rebuild`",
        )
    return Finding("agents' state", "ok", f"{len(looks) - len(empty)} partitions of {topics.state}")


def tables(settings: Settings) -> Finding:
    """Whether ClickHouse has its tables, and a ledger of the events that were read."""
    from sinks.recovery.holdings import missing_tables

    topics = topic_names(settings)
    with open_database(clickhouse_target(settings, analyst=True)) as database:
        absent = missing_tables(database)
        if absent:
            return Finding(
                "tables", "failed", f"not there: {', '.join(absent)}", "stop the sink; `streamgauge backfill`"
            )
        log = log_identity(kafka_connection(settings), topics.events)
        [(ranges,)] = database.query("SELECT count() FROM usage_ledger WHERE log = {log:String}", {"log": log})
    if ranges:
        return Finding("tables", "ok", f"all are there, with {ranges:,} source ranges of this Kafka in the ledger")
    read = [
        one
        for one in standings(kafka_connection(settings), topics, ("sink",))
        if one.place.topic == topics.enriched and one.look.committed > one.look.low
    ]
    if read:
        return Finding(
            "tables",
            "failed",
            "the ledger is empty, and yet usage.enriched was read before: ClickHouse lost its data",
            "stop the sink and run `streamgauge backfill`",
        )
    return Finding("tables", "ok", "all are there, and nothing was written yet")


def probe(url: str) -> Finding:
    """What a worker's own /live and /ready say. `url` as in http://HOST:PORT."""
    base = url.rstrip("/")
    reasons = []
    for path in ("/live", "/ready"):
        try:
            with urllib.request.urlopen(base + path, timeout=_PROBE_S) as answer:
                reasons.append(str(json.load(answer)["reason"]))
        except urllib.error.HTTPError as refused:
            with refused:
                reason = str(json.load(refused)["reason"])
            advice = (
                "its log has the stacks of all threads; a restart loses nothing"
                if path == "/live"
                else "an outage is waited out; see its log"
            )
            return Finding(base, "failed" if path == "/live" else "warning", f"{path}: {reason}", advice)
        except (OSError, ValueError, KeyError) as error:
            return Finding(base, "failed", f"{path} does not answer: {error}", "is this a role's http.port?")
    return Finding(base, "ok", reasons[-1])
