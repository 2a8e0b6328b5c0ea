"""`streamgauge governance`, and readers of the same topic that look for budgets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.status import GOVERNANCE, AsOf, GovernanceStatus, StatusPeriod, status_key
from schemas.tallies import FACETS
from schemas.topics import Topics
from streamgauge.cli import app


def month(number: int, calls: int) -> GovernanceStatus:
    start, end = (datetime(2026, one, 1, tzinfo=UTC) for one in (number, number + 1))
    facets = {facet: calls // (place + 1) for place, facet in enumerate(FACETS)}
    return GovernanceStatus(
        period=StatusPeriod(kind="month", start=start, end=end, time_zone="UTC"),
        calls=facets,
        cost_nanousd={facet: count * 10**9 for facet, count in facets.items()},
        governed_share=facets["governed"] / calls,
        high_risk_workflows=("nightly", "triage"),
        as_of=AsOf(watermark=end, offsets={0: calls}),
        evaluated_at=end,
    )


@pytest.fixture
def topics(bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Topics:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("STREAMGAUGE_KAFKA__BOOTSTRAP", bootstrap)
    monkeypatch.setenv("STREAMGAUGE_TOPICS__PREFIX", f"{topic_prefix}.")
    made = Topics(f"{topic_prefix}.")
    create_topics(KafkaConnection(bootstrap), made, 1)
    return made


def test_the_running_month_is_shown_and_budgets_pass_it_over(topics: Topics, bootstrap: str) -> None:
    run = CliRunner()
    assert "No call was judged yet" in run.invoke(app, ["governance"]).stdout
    producer = Producer({"bootstrap.servers": bootstrap})
    statuses = [month(2, 100), month(3, 1_000), month(3, 1_200), month(1, 7)]
    keys = [status_key(GOVERNANCE, one.period.start) for one in statuses]
    for key, one in zip(keys, statuses, strict=True):
        producer.produce(topics.status, one.model_dump_json(), key, 0)
    producer.produce(topics.status, None, keys[-1], 0)
    assert producer.flush(20) == 0

    text = run.invoke(app, ["governance"]).stdout
    assert "Calls of March 2026" in text
    assert "Calls of February 2026" not in text
    (governed,) = [line for line in text.splitlines() if "that a policy speaks of" in line]
    assert governed.split()[-4:] == ["600", "50.0%", "████░░░░", "$600"]
    assert "Approved workflows of high risk: nightly, triage" in text
    assert max(len(line) for line in text.splitlines()) <= 100
    (told,) = json.loads(run.invoke(app, ["governance", "--json"]).stdout)
    assert (told["calls"]["all"], told["governed_share"]) == (1_200, 0.5)
    assert [one["calls"]["all"] for one in json.loads(run.invoke(app, ["governance", "--all", "--json"]).stdout)] == [
        1_200,
        100,
    ]
    assert json.loads(run.invoke(app, ["budgets", "--json"]).stdout) == []
