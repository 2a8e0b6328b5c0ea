"""`streamgauge doctor` names what is missing and what to do."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.topics import Topics
from streamgauge.cli import app
from streamgauge.embedded.broker import pick_port
from tests.streamgauge.brokers import topics_bootstrap


def test_doctor_with_nothing_running_says_what_to_do(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGAUGE_KAFKA__BOOTSTRAP", f"127.0.0.1:{pick_port()}")
    monkeypatch.setenv("STREAMGAUGE_CLICKHOUSE__PORT", str(pick_port()))
    result = run.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert result.stdout.count("→ start it with `streamgauge up`") == 2
    found = json.loads(run.invoke(app, ["doctor", "--json"]).stdout)
    assert {one["check"]: one["state"] for one in found} == {
        "Kafka": "failed",
        "topics": "skipped",
        "schema registry": "skipped",
        "ClickHouse": "failed",
        "migrations": "skipped",
        "user key": "warning",
    }


def test_doctor_sees_missing_topics_and_other_counts(
    run: CliRunner, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMGAUGE_CLICKHOUSE__PORT", str(pick_port()))

    def topics_finding() -> dict[str, str]:
        found: list[dict[str, str]] = json.loads(run.invoke(app, ["doctor", "--json"]).stdout)
        return next(one for one in found if one["check"] == "topics")

    assert topics_finding()["advice"] == "create them with `streamgauge topics`"
    create_topics(KafkaConnection(topics_bootstrap()), topics, 1)
    assert topics_finding()["state"] == "ok"
    monkeypatch.setenv("STREAMGAUGE_TOPICS__EVENT_PARTITIONS", "7")
    assert topics_finding()["state"] == "failed"
