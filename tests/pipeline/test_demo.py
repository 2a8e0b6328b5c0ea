"""`streamgauge demo`, as a newcomer runs it: the whole house on this machine, and every figure of its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_the_demo_accounts_for_every_event_and_finds_every_incident(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGAUGE_")}
    done = subprocess.run(
        [sys.executable, "-m", "streamgauge", "demo", "--report", str(file)],
        capture_output=True,
        text=True,
        timeout=400,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]

    report: dict[str, Any] = json.loads(file.read_text())
    assert report["events_sent"] == report["enriched"] + report["duplicates"] + report["rejected"]
    assert report["clickhouse_rows"] == report["enriched"] > 100_000
    assert report["duplicates"] > 0
    assert report["rejected"] > 0
    assert report["budgets"]
    assert len(report["unplanted_pages"]) <= 2

    alerts = {alert["alert_id"] for alert in report["alerts"]}
    incidents = report["incidents"]
    assert {one["name"]: one["alert_incident"] for one in incidents} == {
        "runaway loop": "runaway_loop",
        "prompt bloat": "prompt_bloat",
        "dear model": "model_switch",
        "retry storm": "retry_storm",
        "cache collapse": "cache_collapse",
        # Which of the two depends on whether ClickHouse has answered before it was over.
        "context resent": next(one["alert_incident"] for one in incidents if one["name"] == "context resent"),
        "planned load test": "planned_activity",
        "over budget": None,
    }
    measures = {one["name"]: one["alert_explanation"][0]["factor"] for one in incidents if one["kind"] == "spike"}
    assert measures == {
        "runaway loop": "calls",
        "prompt bloat": "input_per_call",
        "dear model": "model_mix",
        "retry storm": "errors",
        "cache collapse": "cache_share",
        "context resent": "input_per_call",
        "planned load test": "calls",
    }
    assert all(one["alert_incident"] in one["looks"] for one in incidents if one["looks"])
    [planned] = [one for one in incidents if one["activity"]]
    assert (planned["alert_activity"], planned["alert_pages"]) == (planned["activity"], False)
    assert all(one["alert_pages"] for one in incidents if one is not planned)
    for one in incidents:
        assert one["alert"] in alerts, one
        assert (one["alert_team"], one["alert_kind"]) == (one["team"], one["kind"])
        apart = datetime.fromisoformat(one["alert_at"]) - datetime.fromisoformat(one["expected_at"])
        assert abs(apart) <= timedelta(minutes=30), one
    assert len({one["alert"] for one in incidents}) == len(incidents)

    assert len(report["questions"]) == 3
    assert all(question["rows"] for question in report["questions"])
    assert any("usd_per_outcome" in question["columns"] for question in report["questions"])
