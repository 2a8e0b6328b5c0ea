"""In: an analyst's SQL. Out: its columns and rows, or one sentence that says what ClickHouse has against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.errors import code_of


class QueryError(RuntimeError):
    """A query that ClickHouse did not answer; the message is ClickHouse's own first sentence, with its code."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`types` are ClickHouse's; values are Python's: int, str, Decimal, datetime, None, list, dict."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def ask(target: ClickHouseTarget, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
    """Run one query of an analyst. `{name:Type}` in it is bound by the server. Raises QueryError."""
    try:
        with Database.open(target) as database:
            result = database.client.query(sql, parameters=dict(parameters or {}))
    except (ClickHouseError, OSError) as error:
        raise QueryError(_sentence(error)) from error
    return Answer(
        tuple(result.column_names),
        tuple(kind.name for kind in result.column_types),
        tuple(tuple(row) for row in result.result_rows),
    )


def _sentence(error: BaseException) -> str:
    code = code_of(error)
    text = " ".join(str(error).split())
    if code is None:
        return f"ClickHouse did not answer: {text}"
    # "…DB::Exception: what is wrong. (NAME) (version …)" keeps what is wrong and its name.
    tail = text.split("DB::Exception: ")[-1].split(" (version ")[0].split(" (for url ")[0]
    return f"{tail} (code {code})"
