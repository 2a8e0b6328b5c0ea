"""`streamgauge apply` from outside: what a dry run says of today's states, and that an apply does what was told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from runtime.control_log import ControlLog
from schemas.alerts import AlertScope
from schemas.control.base import moment_us, us_moment
from schemas.control.periods import running_period
from schemas.status import AsOf, BudgetStatus, StatusPeriod, status_key
from schemas.topics import Topics
from streamgauge.cli import app

BUDGET = "kind: budget\nid: b\nlimit: {limit}\nperiod: month\nmode: enforce\n"


@pytest.fixture
def topics(bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Topics:
    """Topics of this test's own, and settings that lead to them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("STREAMGAUGE_KAFKA__BOOTSTRAP", bootstrap)
    monkeypatch.setenv("STREAMGAUGE_TOPICS__PREFIX", f"{topic_prefix}.")
    monkeypatch.setenv("STREAMGAUGE_TOPICS__EVENT_PARTITIONS", "1")
    monkeypatch.setenv("STREAMGAUGE_TOPICS__TALLY_PARTITIONS", "1")
    topics = Topics(f"{topic_prefix}.", 1, 1)
    create_topics(KafkaConnection(bootstrap), topics, replication=1)
    return topics


def publish(topics: Topics, bootstrap: str, key: str, value: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topics.status, value, key=key)
    assert producer.flush(15) == 0


def apply(*arguments: str) -> str:
    ran = CliRunner().invoke(app, ["apply", *arguments])
    assert ran.exit_code == 0, ran.stderr
    return ran.stdout


def test_a_dry_run_tells_what_an_apply_then_does(topics: Topics, bootstrap: str, tmp_path: Path) -> None:
    file = tmp_path / "b.yaml"
    file.write_text(BUDGET.format(limit=500), encoding="utf-8")
    first = apply("--dry-run", str(file))
    assert "▸ is new: counts the whole running period once ClickHouse has been asked" in first
    apply(str(file))

    log = ControlLog(KafkaConnection(bootstrap), topics.control)
    budget = log.read_to_end().budgets["b"]
    now = datetime.now(UTC)
    period = running_period(budget, moment_us(now))
    start, end = us_moment(period.start_us), us_moment(period.end_us)
    status = BudgetStatus(
        budget_id="b", rule=budget.rule, scope=AlertScope(), unit="nanousd", used=412 * 10**9, provisional=0, calls=9,
        period=StatusPeriod(kind="month", start=start, end=end, time_zone="UTC"), limit=budget.limit_units,
        used_share=0.82, state="ok", mode="enforce", would_stop=False, levels={},
        as_of=AsOf(watermark=now, offsets={}), evaluated_at=now,
    )  # fmt: skip
    publish(topics, bootstrap, "(governance)|2026-11-01T00:00:00+00:00", "{}")
    publish(topics, bootstrap, status_key("b", start), status.model_dump_json())

    file.write_text(BUDGET.format(limit=300), encoding="utf-8")
    told = apply("--dry-run", str(file))
    assert told.splitlines() == [
        "update  budget/b",
        "        limit: 500 → 300",
        "        ▸ would go from ok to hard (used $412.00 of the new limit $300.00), and gateways that ask",
        "            are told to stop",
        "1 would change, 0 as before.",
    ]
    data: dict[str, Any] = json.loads(apply("--dry-run", "--json", str(file)))
    assert data["changes"] == [
        {"action": "update", "record": "budget/b", "fields": [{"field": "limit", "before": "500", "after": "300"}]}
    ]
    assert (data["applied"], data["effects"][0]["before"], data["effects"][0]["after"]) == (False, "ok", "hard")
    assert log.read_to_end().budgets["b"].limit == 500, "a dry run changes nothing"
    apply(str(file))
    assert log.read_to_end().budgets["b"].limit == 300
    log.close()
