"""docker/clickhouse/users.xml: nobody comes in without a password, and each may do what its work needs and no more."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import pytest

from sinks.database import Database, split_statements
from sinks.migrate import known_migrations
from tests.cluster.database import sample_database
from tests.cluster.files import ROOT, service

FILE: Final = ElementTree.parse(ROOT / "docker" / "clickhouse" / "users.xml").getroot()
USERS: Final = {user.tag: user for user in FILE.find("users") or ()}
#: Tables that no analyst reads: the record of migrations is the sink's own business.
PRIVATE: Final = {"schema_migrations"}
HIDDEN_COLUMNS: Final = {
    ("usage_events_raw", "user_hash"),
    ("usage_adjustments", "user_hash"),
    ("usage_rejected", "event_id"),
    ("usage_rejected", "message"),
    ("usage_rejected", "raw"),
    ("usage_rejected", "raw_truncated"),
}
_STATEMENT: Final = re.compile(r"(GRANT|REVOKE) SELECT(?:\(([^)]*)\))? ON (?:streamgauge\.)?(\w+)")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with sample_database(tmp_path_factory.mktemp("users")) as opened:
        yield opened


def grants(user: str) -> list[str]:
    return [" ".join((query.text or "").split()) for query in USERS[user].iter("query")]


def columns_of(database: Database) -> dict[str, set[str]]:
    """Table or view -> its columns, in the migrated database."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for table, column in database.query("SELECT table, name FROM system.columns WHERE database = currentDatabase()"):
        found[table].add(column)
    return dict(found)


def readable(statements: list[str], columns: dict[str, set[str]]) -> set[tuple[str, str]]:
    """(table, column) that these GRANT and REVOKE statements leave readable."""
    allowed: set[tuple[str, str]] = set()
    for statement in statements:
        match = _STATEMENT.search(statement)
        if match is None:
            continue
        verb, named, table = match.groups()
        chosen = {name.strip() for name in named.split(",")} if named else columns[table]
        assert chosen <= columns[table], f"{table} has no columns {sorted(chosen - columns[table])}"
        pairs = {(table, name) for name in chosen}
        allowed = allowed | pairs if verb == "GRANT" else allowed - pairs
    return allowed


def test_who_there_is() -> None:
    assert set(USERS) == {"default", "writer", "reader", "analyst"}


def test_default_comes_from_inside_the_container_alone() -> None:
    networks = USERS["default"].find("networks")
    assert networks is not None
    assert networks.attrib == {"replace": "replace"}, "without it, the image's own ::/0 stays"
    assert {ip.text for ip in networks} == {"::1", "127.0.0.1"}


@pytest.mark.parametrize("user", ["writer", "reader", "analyst"])
def test_passwords_come_from_the_environment(user: str) -> None:
    password = USERS[user].find("password")
    assert password is not None
    assert not password.text
    variable = password.attrib["from_env"]
    assert service("clickhouse")["environment"][variable].startswith("${" + variable + ":?")


def test_the_writer_stays_in_its_database() -> None:
    places = {re.search(r" ON (\S+)", grant)[1] for grant in grants("writer") if "ROLE" not in grant}  # type: ignore[index]
    assert places == {"streamgauge.*", "system.user_directories"}
    assert not re.search(r"\bALL\b|CREATE USER|ACCESS MANAGEMENT|SOURCES|\bFILE\b|\bURL\b", " ".join(grants("writer")))


def test_the_writer_may_do_what_migrations_do() -> None:
    """Each kind of statement, with the right that it needs."""
    needs = {
        "CREATE TABLE": "CREATE TABLE",
        "CREATE OR REPLACE VIEW": "CREATE VIEW",
        "CREATE VIEW": "CREATE VIEW",
        "ALTER TABLE": "ALTER",
        "CREATE ROLE": "CREATE ROLE",
        "GRANT SELECT": "WITH GRANT OPTION",
        "REVOKE SELECT": "WITH GRANT OPTION",
        "DROP VIEW": "DROP VIEW",
        "DROP TABLE": "DROP TABLE",
        "INSERT INTO": "INSERT",
    }
    rights = " ".join(grants("writer"))
    for migration in known_migrations():
        for statement in split_statements(migration.text):
            sql = "\n".join(line for line in statement.splitlines() if not line.startswith("--")).strip()
            kind = next((kind for kind in needs if sql.startswith(kind)), None)
            assert kind is not None, f"{migration.name}: say here which right this needs: {sql[:60]}"
            assert needs[kind] in rights, f"{migration.name} needs {needs[kind]}, which the writer has not"


def test_the_reader_reads_one_database_alone() -> None:
    assert grants("reader") == ["GRANT SHOW, SELECT ON streamgauge.*"]
    assert USERS["reader"].findtext("profile") == "reader"
    assert FILE.findtext("profiles/reader/readonly") == "2"


def test_the_analyst_reads_alone() -> None:
    assert all(re.match(r"GRANT (SHOW|SELECT)\b", grant) for grant in grants("analyst"))
    assert "GRANT OPTION" not in " ".join(grants("analyst"))
    assert USERS["analyst"].findtext("profile") == "analyst"
    assert FILE.findtext("profiles/analyst/readonly") == "1"


def test_the_analyst_sees_everything_but_people_and_raw_bytes(database: Database) -> None:
    columns = columns_of(database)
    everything = {(table, name) for table, names in columns.items() for name in names if table not in PRIVATE}
    assert everything - readable(grants("analyst"), columns) == HIDDEN_COLUMNS


def test_the_role_of_the_migrations_sees_the_same(database: Database) -> None:
    columns = columns_of(database)
    statements = [
        text for migration in known_migrations() if migration.server_only for text in split_statements(migration.text)
    ]
    assert readable(statements, columns) == readable(grants("analyst"), columns)


def test_the_grants_are_sql(database: Database) -> None:
    for user in ("writer", "analyst"):
        for grant in grants(user):
            statement = grant.replace(" WITH GRANT OPTION", "") + " TO somebody"
            assert database.query("SELECT formatQuerySingleLine({sql:String})", {"sql": statement})
