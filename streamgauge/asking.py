"""In: SQL. Out: ClickHouse's answer as rows, asked with the analyst's login over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamgauge.settings.convert import clickhouse_target

if TYPE_CHECKING:
    from sinks.config import ClickHouseTarget
    from sinks.database import Database
    from streamgauge.settings import Settings


class ClickHouseUnreachable(RuntimeError):
    """ClickHouse does not answer, or does not let us in."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Column names and rows of Python values."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


def ask(settings: Settings, sql: str) -> Answer:
    """Raises ClickHouseUnreachable, or clickhouse-connect's own error for SQL that ClickHouse refuses."""
    with open_database(clickhouse_target(settings, analyst=True)) as database:
        result = database.client.query(sql)
        return Answer(tuple(result.column_names), result.result_rows)


def open_database(target: ClickHouseTarget) -> Database:
    """The target's database. Raises ClickHouseUnreachable, which says what to do."""
    from clickhouse_connect.driver.exceptions import Error

    from sinks.database import Database

    # Its own log line repeats what the exception says.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    try:
        return Database.open(target)
    except Error as error:
        raise ClickHouseUnreachable(_why(target, str(error))) from error


def _why(target: ClickHouseTarget, message: str) -> str:
    where = f"ClickHouse at {target.host}:{target.port or (8443 if target.tls else 8123)}"
    if "UNKNOWN_DATABASE" in message:
        return f"{where} has no database {target.database!r}: `streamgauge sink` makes it at its first start"
    if "AUTHENTICATION_FAILED" in message:
        return f"{where} refuses user {target.username!r}: check clickhouse.analyst_user and its password"
    if "SSL" in message.upper():
        return f"{where} does not agree on TLS: check clickhouse.tls, its files and the port"
    if any(sign in message for sign in ("refused", "Max retries", "timed out", "resolve")):
        return (
            f"{where} cannot be reached: start it with `streamgauge up`, or say where it is with "
            "STREAMGAUGE_CLICKHOUSE__HOST"
        )
    return f"{where} answers, but not as expected: {message.strip()[:300]}"
