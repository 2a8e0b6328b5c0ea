"""In: the name of a question in this folder, and its parameters. Out: ClickHouse's answer, as rows or as columns."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from sinks.database import Database, read_sql


def ask(database: Database, question: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of `question`.sql."""
    return database.query(read_sql("reconcile", f"{question}.sql"), parameters)


def ask_columns(database: Database, question: str, **parameters: Any) -> pa.Table:
    """The same as a table."""
    return database.client.query_arrow(read_sql("reconcile", f"{question}.sql"), parameters=parameters)
