"""ClickHouse for the sink's tests: the same tests run on chdb in this process and on the embedded server over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.clock import FixedClock
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.migrate import has_access_control, migrate
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from tests.support.blocks import NOON_US


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """The embedded server, shared by the run; tests keep apart by database."""
    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(scope="session")
def chdb_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One engine per process: one folder for the run."""
    return tmp_path_factory.mktemp("chdb")


@pytest.fixture
def http_target(clickhouse: EmbeddedClickHouse) -> ClickHouseTarget:
    return ClickHouseTarget(
        clickhouse.host, clickhouse.port, "writer", clickhouse.writer_password, database=f"t{uuid.uuid4().hex[:10]}"
    )


@pytest.fixture(params=["chdb", "http"])
def target(request: pytest.FixtureRequest) -> ClickHouseTarget:
    """A database that does not exist yet."""
    if request.param == "http":
        over_http: ClickHouseTarget = request.getfixturevalue("http_target")
        return over_http
    return ClickHouseTarget(chdb_path=request.getfixturevalue("chdb_folder"), database=f"t{uuid.uuid4().hex[:10]}")


@pytest.fixture
def database(target: ClickHouseTarget) -> Iterator[Database]:
    """A database with all migrations."""
    with Database.open(target, create=True) as opened:
        migrate(opened, FixedClock(NOON_US), has_access_control=has_access_control(opened))
        yield opened
