"""The provisioned dashboard: every query runs on the migrated tables and answers what its panel says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from sinks.database import Database
from tests.cluster.database import NOW, sample_database
from tests.cluster.files import ROOT, service
from tests.cluster.grafana_macros import TimeRange, UnknownMacro

DASHBOARD: dict[str, Any] = json.loads((ROOT / "grafana" / "dashboards" / "overview.json").read_text(encoding="utf-8"))
PANELS: dict[str, dict[str, Any]] = {panel["title"]: panel for panel in DASHBOARD["panels"] if panel["type"] != "row"}
END = datetime.fromisoformat(NOW).replace(tzinfo=UTC)
HOUR = TimeRange(END - timedelta(hours=1), END, 60)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with sample_database(tmp_path_factory.mktemp("dashboard")) as opened:
        yield opened


def sql_of(panel: dict[str, Any]) -> str:
    [target] = panel["targets"]
    sql = target["rawSql"]
    assert isinstance(sql, str)
    return sql


def answer(database: Database, title: str) -> list[tuple[Any, ...]]:
    return database.query(HOUR.expand(sql_of(PANELS[title])))


@pytest.mark.parametrize("title", PANELS)
def test_every_query_answers(database: Database, title: str) -> None:
    assert answer(database, title), "the sample company gives every panel something to show"


@pytest.mark.parametrize("title", PANELS)
def test_every_query_bears_an_empty_database(database: Database, title: str) -> None:
    """A range in which nothing happened: no error, and a single figure is 0 or nothing."""
    long_ago = TimeRange(END - timedelta(days=3_000), END - timedelta(days=2_999), 60)
    rows = database.query(long_ago.expand(sql_of(PANELS[title])))
    if PANELS[title]["type"] == "stat":
        assert len(rows) == 1
        assert not rows[0][0]


def test_flow(database: Database) -> None:
    assert answer(database, "Cost") == [(Decimal("1.3"),)]
    assert answer(database, "Calls") == [(85,)]
    assert answer(database, "Unpriced calls") == [(20,)]
    assert answer(database, "Unattributed calls") == [(5,)]
    assert answer(database, "Refused events") == [(10,)]
    rates = answer(database, "Events per second")
    assert len(rates) == 10
    assert {row[1:] for row in rates} == {(8 / 60, 1 / 60, 1 / 60)}
    hourly = answer(database, "Cost per hour by use case")
    assert sum(cost for _, use_case, cost in hourly if use_case == "triage") == pytest.approx(60 * 0.02 * 60)


def test_lag(database: Database) -> None:
    assert {row[1:] for row in answer(database, "From Kafka to ClickHouse")} == {(1.0, 1.0, 1.0)}
    assert {row[1:] for row in answer(database, "From call to Kafka")} == {(2.0, 2.0)}
    assert [row[:2] for row in answer(database, "Newest range by partition")] == [(0, 90), (1, 100)]


def test_budgets(database: Database) -> None:
    [row] = answer(database, "Running budgets")
    assert row[:9] == ("search-month", "search", "month", 1.2, 1.0, "USD", 1.2, "hard", None)


def test_exceptions(database: Database) -> None:
    [row] = answer(database, "Exceptions")
    assert row[:8] == ("launch", "search-month", "search", "in_force", "grace", 0.5, None, "USD")


def test_spikes(database: Database) -> None:
    assert [row[1:] for row in answer(database, "Alerts by kind")] == [("spike", 1)]
    [row] = answer(database, "Newest state of each alert")
    assert row[1:7] == ("spike", "resolved", "warning", "search", "Team search is back.", "calls doubled")


def test_cost_per_outcome(database: Database) -> None:
    """60 calls at 2 cents, 4 of 5 outcomes reached: 30 cents each. Other use cases have no part in it."""
    assert answer(database, "Cost per outcome") == [(Decimal("0.3"),)]
    assert [row[1:] for row in answer(database, "Cost per outcome by week")] == [("triage", 0.3)]
    first, *_ = answer(database, "Use cases")
    assert first[:5] == ("triage", Decimal("1.2"), 4, 1, Decimal("0.3"))
    assert first[5:7] == (2.5, Decimal("62.5")), "five times half an hour and 12.50 dollars"


def test_series_name_their_time_first() -> None:
    for panel in PANELS.values():
        [target] = panel["targets"]
        is_series = panel["type"] == "timeseries"
        assert target["queryType"] == ("timeseries" if is_series else "table")
        assert target["format"] == (0 if is_series else 1)
        if is_series:
            assert re.search(r"^SELECT\s+\S+\(\w+(, 'UTC')?\) AS time,", target["rawSql"])
            assert "ORDER BY time" in target["rawSql"]


def test_nobody_is_ranked() -> None:
    """No panel has a person in it, and none orders by tokens."""
    for panel in PANELS.values():
        sql = sql_of(panel)
        assert "user" not in sql
        assert not re.search(r"ORDER BY[^\n]*tokens", sql)
        assert "usage_events_raw" not in sql, "panels read the views, which have one row per event"


def test_panels_explain_themselves_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        if panel["type"] != "row":
            assert panel["description"].endswith((".", "`."))
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies on another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_it_shows_what_it_is_for() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Flow", "Lag", "Budgets", "Spikes and other alerts", "Cost per outcome", "Refused events"]


def provisioned(path: str) -> Any:
    return yaml.safe_load((ROOT / "grafana" / "provisioning" / path).read_text(encoding="utf-8"))


def test_the_data_source_is_the_analyst_of_the_compose_file() -> None:
    [source] = provisioned("datasources/clickhouse.yml")["datasources"]
    plugin, _, version = service("grafana")["environment"]["GF_PLUGINS_PREINSTALL_SYNC"].partition("@")
    assert source["type"] == plugin
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert source["jsonData"]["host"] == "clickhouse"
    assert source["jsonData"]["username"] == "analyst"
    assert source["secureJsonData"] == {"password": "$STREAMGAUGE_ANALYST_PASSWORD"}
    assert "STREAMGAUGE_ANALYST_PASSWORD" in service("grafana")["environment"]
    sources = {json.dumps(panel["datasource"], sort_keys=True) for panel in PANELS.values()}
    assert sources == {json.dumps({"type": source["type"], "uid": source["uid"]}, sort_keys=True)}


def test_dashboards_are_mounted_where_they_are_looked_for() -> None:
    [provider] = provisioned("dashboards/streamgauge.yml")["providers"]
    folder = provider["options"]["path"]
    assert f"./grafana/dashboards:{folder}:ro" in service("grafana")["volumes"]
    home = Path(service("grafana")["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == folder
    assert (ROOT / "grafana" / "dashboards" / home.name).is_file()


def test_an_unknown_macro_is_not_passed_over() -> None:
    with pytest.raises(UnknownMacro, match=r"\$__timeFrom"):
        HOUR.expand("SELECT $__timeFrom")
