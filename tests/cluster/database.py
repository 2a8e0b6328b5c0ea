"""In: an empty folder. Out: a migrated database on the embedded ClickHouse, with an hour of a small company in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from runtime.clock import SystemClock
from sinks.config import ClickHouseTarget
from sinks.database import Database, split_statements
from sinks.migrate import migrate

#: The end of that hour.
NOW: Final = "2026-01-12 12:00:00"

_ROWS: Final = Path(__file__).with_name("sample_company.sql")


@contextmanager
def sample_database(folder: Path) -> Iterator[Database]:
    """One per process and folder: the embedded engine locks its folder."""
    with Database.open(ClickHouseTarget(chdb_path=folder), create=True) as database:
        migrate(database, SystemClock(), has_access_control=False)
        for insert in split_statements(_ROWS.read_text(encoding="utf-8")):
            database.command(insert)
        yield database
