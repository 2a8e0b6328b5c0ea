"""In: numbered .sql files and a database. Out: each applied once, in order, and recorded in `schema_migrations`.

For each file: 1. run its statements in order; 2. record it. A crash within 1 leaves a file half applied: its statements
are written to be repeated (IF NOT EXISTS, OR REPLACE), and the next start repeats them all. A crash between 1 and 2 is
the same. Two processes that migrate at once run the same repeatable statements, and record the same row twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

import pyarrow as pa

from runtime.clock import Clock
from schemas.usage import TIMESTAMP
from sinks.database import Database, split_statements
from sinks.errors import SinkError

_FILE: Final = re.compile(r"(\d{3})_(\w+)\.sql")
#: A file with this line in it needs users and roles, which the embedded engine does not have.
SERVER_ONLY: Final = "-- server only"
_APPLIED: Final = "applied"
_RECORDS: Final = pa.schema(
    [
        pa.field("version", pa.uint32(), nullable=False),
        pa.field("name", pa.utf8(), nullable=False),
        pa.field("sha256", pa.utf8(), nullable=False),
        pa.field("result", pa.utf8(), nullable=False),
        pa.field("applied_at", TIMESTAMP, nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of `sinks/migrations`."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def server_only(self) -> bool:
        return SERVER_ONLY in self.text.splitlines()


def known_migrations() -> list[Migration]:
    """All files of `sinks/migrations` by number."""
    found = []
    for file in resources.files("sinks").joinpath("migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match is not None:
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def migrate(
    database: Database, clock: Clock, *, has_access_control: bool, migrations: Sequence[Migration] | None = None
) -> list[Migration]:
    """Apply what is missing and return it. Raises SinkError for a file that was edited after it had been applied.

    `has_access_control`: False where roles cannot be made. Files marked `-- server only` are then recorded as skipped,
    and applied at the first start at which they can be.
    """
    todo = known_migrations() if migrations is None else list(migrations)
    for statement in split_statements(todo[0].text):
        # The first file makes the table of records, so it runs before the records can be read.
        database.command(statement)
    applied = _applied(database)
    done = []
    for migration in todo:
        skipped = migration.server_only and not has_access_control
        record = applied.get(migration.version)
        if record is not None and (record.done or skipped):
            _refuse_edited(migration, record)
            continue
        # 1. Its statements, each repeatable.
        for statement in () if skipped else split_statements(migration.text):
            database.command(statement)
        # 2. The record.
        result = "skipped: no roles here, or no right to make them" if skipped else _APPLIED
        database.insert("schema_migrations", _record(migration, result, clock.now_us()))
        done.append(migration)
    return done


def pending(database: Database, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """What `migrate` would apply."""
    applied = _applied(database) if database.query("EXISTS TABLE schema_migrations")[0][0] else {}
    todo = known_migrations() if migrations is None else migrations
    return [migration for migration in todo if migration.version not in applied]


def has_access_control(database: Database) -> bool:
    """Whether roles can be made: the embedded engine cannot store them, and a server may not let this user."""
    stores = "SELECT count() FROM system.user_directories WHERE type IN ('local_directory', 'replicated', 'memory')"
    return bool(database.query(stores)[0][0]) and bool(database.query("CHECK GRANT CREATE ROLE ON *.*")[0][0])


@dataclass(frozen=True, slots=True)
class _Applied:
    name: str
    sha256: str
    done: bool


def _applied(database: Database) -> dict[int, _Applied]:
    rows = database.query("SELECT version, name, sha256, result FROM schema_migrations FINAL ORDER BY version")
    return {version: _Applied(name, sha256, result == _APPLIED) for version, name, sha256, result in rows}


def _refuse_edited(migration: Migration, record: _Applied) -> None:
    if record.done and record.sha256 != migration.sha256:
        raise SinkError(
            f"migration {migration.version:03}_{migration.name}.sql was edited after it had been applied as "
            f"{migration.version:03}_{record.name}.sql (SHA-256 {record.sha256[:12]}, now {migration.sha256[:12]}): "
            "restore the file, and put the change into a new one with the next number"
        )


def _record(migration: Migration, result: str, now_us: int) -> pa.Table:
    return pa.Table.from_arrays(
        [
            pa.array([value], field.type)
            for value, field in zip(
                (migration.version, migration.name, migration.sha256, result, now_us), _RECORDS, strict=True
            )
        ],
        schema=_RECORDS,
    )
