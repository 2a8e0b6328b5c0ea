"""A broker and a ClickHouse in; ranges written to both as enrich and the sink do, to be tampered with by hand."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from runtime.clock import FixedClock
from runtime.connection import KafkaConnection
from schemas.topics import Topics
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.migrate import migrate
from tests.sinks.reconcile.ground import Ground
from tests.support.blocks import NOON_US

_TABLES: Final = ("usage_events_raw", "usage_ledger", "usage_rejected", "usage_adjustments")


@pytest.fixture(scope="module")
def shared(chdb_folder: Path) -> Iterator[Database]:
    """A database with all migrations, emptied for each test."""
    with Database.open(
        ClickHouseTarget(chdb_path=chdb_folder, database=f"t{uuid.uuid4().hex[:10]}"), create=True
    ) as it:
        migrate(it, FixedClock(NOON_US), has_access_control=False)
        yield it


@pytest.fixture
def ground(tansu_bootstrap: str, topic_prefix: str, shared: Database) -> Ground:
    """Two partitions with three ranges each, all in order."""
    for table in _TABLES:
        shared.command(f"TRUNCATE TABLE {table}")
    connection = KafkaConnection(tansu_bootstrap, session_timeout_ms=6_000, fetch_wait_ms=20)
    made = Ground(connection, Topics(topic_prefix, 2, 1), shared)
    for partition in range(2):
        for first, after in ((0, 10), (10, 30), (30, 40)):
            made.range(partition, first, after)
    return made
