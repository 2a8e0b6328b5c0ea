"""In: what a person types about refused events. Out: filters, places, and the doors to ClickHouse and Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from schemas.topics import Topics
    from sinks.corrections.rejected import Filters, Place, Refused
    from sinks.database import Database
    from streamgauge.rejected.replay import Replayer
    from streamgauge.settings import Settings

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

Since = Annotated[datetime | None, typer.Option(formats=_DATES, help="Refused since then, UTC.", show_default=False)]
Code = Annotated[str, typer.Option(help="One rejection code, such as bad_json.", show_default=False)]
Source = Annotated[str, typer.Option(help="Who sent them.", show_default=False)]
Topic = Annotated[str, typer.Option(help="usage.events or usage.outcomes.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="Also those that were sent again.")]


def replayer(settings: Settings, database: Database) -> Replayer:
    import getpass

    from streamgauge.reach import reach_kafka
    from streamgauge.rejected.replay import Replayer
    from streamgauge.settings.convert import kafka_connection

    connection = kafka_connection(settings)
    reach_kafka(connection)
    try:
        who = getpass.getuser()
    except (OSError, KeyError):
        who = "unknown"
    return Replayer(connection, topic_names_of(settings), database, who)


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """ClickHouse as its writer, who alone sees the bytes of refused events. NotAllowed where we may not."""
    from clickhouse_connect.driver.exceptions import Error

    from streamgauge.asking import open_database
    from streamgauge.rejected.access import NotAllowed
    from streamgauge.settings.convert import clickhouse_target

    with open_database(clickhouse_target(settings, analyst=settings.clickhouse.password is None)) as database:
        try:
            yield database
        except Error as error:
            if NotAllowed.says(error):
                raise NotAllowed from error
            raise


def topic_names_of(settings: Settings) -> Topics:
    from streamgauge.settings.convert import topic_names

    return topic_names(settings)


def filters_of(
    settings: Settings, since: datetime | None, code: str, source: str, topic: str, *, with_replayed: bool
) -> Filters:
    from typing import get_args

    from schemas.rejections import RejectionCode
    from sinks.corrections.rejected import Filters

    if code and code not in get_args(RejectionCode):
        raise typer.BadParameter(f"{code!r} is no rejection code: there are {', '.join(get_args(RejectionCode))}")
    start = datetime(1970, 1, 1, tzinfo=UTC) if since is None else since.replace(tzinfo=UTC)
    return Filters(start, code, source, full_name(settings, topic) if topic else "", with_replayed)


def full_name(settings: Settings, topic: str) -> str:
    names = topic_names_of(settings)
    known = {"usage.events": names.events, "usage.outcomes": names.outcomes}
    if topic not in known and topic not in known.values():
        raise typer.BadParameter(f"{topic!r} has no refused events: usage.events and usage.outcomes have")
    return known.get(topic, topic)


def place_at(settings: Settings, position: str) -> Place:
    import re

    from sinks.corrections.rejected import Place

    match = re.fullmatch(r"(?:([^:]*\.[^:]*):)?(\d+):(\d+)(?::(\d+))?", position)
    if match is None:
        raise typer.BadParameter(
            f"{position!r} is no position: give TOPIC:PARTITION:OFFSET or TOPIC:PARTITION:OFFSET:INDEX"
        )
    topic = full_name(settings, match[1] or "usage.events")
    return Place(topic, int(match[2]), int(match[3]), None if match[4] is None else int(match[4]))


def state(one: Refused) -> str:
    return one.code if one.replayed is None else f"{one.code} (sent again)"


def as_json(one: Refused) -> dict[str, Any]:
    replayed = one.replayed
    return {
        "position": str(one.place),
        "code": one.code,
        "message": one.message,
        "refused_at": one.appended_at,
        "source": one.source,
        "event_id": one.event_id,
        "raw_bytes": one.raw_bytes,
        "raw_truncated": one.raw_truncated,
        "replayed": None if replayed is None else {"at": replayed.at, "by": replayed.by, "to": str(replayed.to)},
    }
