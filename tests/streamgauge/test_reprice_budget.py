"""`reprice` through the whole house on Apache Kafka: budgets and views, a kill in the middle, and once more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from schemas.control.budgets import Budget, Scope
from schemas.prices.overrides import OverrideRates, PriceOverride
from streamgauge.cli import app
from tests.support.house import TestHouse, wait_for

#: 1,000 input and 100 output tokens: 0.003 USD at 2 and 10 USD a million; held at 10 and 40: 0.014.
COST, HELD = 3_000_000, 14_000_000
#: The command, which hangs before its commit and says so.
HANGS: Final = """
import time
from streamgauge.adjusting import AdjustmentWriter
from streamgauge.cli import app

def hang(self):
    self._producer.poll(2)
    print("about to commit", flush=True)
    time.sleep(600)

AdjustmentWriter._commit = hang
app()
"""


def send(house: TestHouse, name: str, when: datetime, count: int) -> None:
    producer = Producer(house.connection.librdkafka())
    for number in range(count):
        event = {
            "event_id": f"{name}-{number}",
            "source": "gateway",
            "occurred_at": int(when.timestamp() * 1_000_000),
            "team_id": "a",
            "model": "our-own-model",
            "input_tokens": 1_000,
            "output_tokens": 100,
        }
        producer.produce(house.topics.events, json.dumps(event).encode(), f"{name}-{number}".encode())
    assert producer.flush(30) == 0


def face(house: TestHouse, *words: str) -> Any:
    result = CliRunner().invoke(app, [*words, "--json"], env=house.environment())
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def used(house: TestHouse) -> dict[str, tuple[int, int]]:
    """Use and what of it is provisional, by the first day of the period."""
    statuses = face(house, "budgets", "--all")
    return {one["period"]["start"][:10]: (one["used"], one["provisional"]) for one in statuses}


@pytest.mark.kafka
def test_budgets_and_views_take_a_later_price_once(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    closed = first - timedelta(days=2)
    before, this = closed.strftime("%Y-%m-01"), first.strftime("%Y-%m-01")
    with TestHouse(kafka_bootstrap, tmp_path, topic_prefix, partitions=(2, 2)) as house:
        house.apply(Budget(id="a-month", scope=Scope(team="a"), unit="usd", limit=Decimal(5), period="month"))
        house.start()
        send(house, "closed", closed, 2)
        send(house, "open", now, 3)
        held = {before: (2 * HELD, 2 * HELD), this: (3 * HELD, 3 * HELD)}
        wait_for(lambda: used(house) == held, 90, f"budgets that hold {held}")
        wait_for(lambda: house.query("SELECT count() FROM streamgauge.usage_events")[0][0] == 5, 60, "five rows")

        rates = OverrideRates(input=Decimal(2), output=Decimal(10))
        since = closed - timedelta(days=30)
        house.apply(PriceOverride(id="ours", model="our-own-model", valid_from=since, rates=rates, source="contract"))
        words = ["reprice", "--since", since.strftime("%Y-%m-%d"), "--yes"]

        # Killed with everything sent and nothing committed.
        child = subprocess.Popen(
            [sys.executable, "-c", HANGS, *words], env=house.environment(), stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert any("about to commit" in line for line in child.stdout)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert used(house) == held

        report = face(house, *words)
        assert (report["events"], report["cost_nanousd"], len(report["adjustments"])) == (5, 5 * COST, 1)
        priced = {before: (2 * HELD, 2 * HELD), this: (5 * COST, 0)}
        wait_for(lambda: used(house) == priced, 90, f"budgets that say {priced}")

        assert face(house, *words)["events"] == 0
        assert used(house) == priced
        showback = house.query(
            "SELECT toString(month), calls, cost_usd, adjustments_usd, unpriced_calls, provisional_usd "
            "FROM streamgauge.showback_monthly ORDER BY month"
        )
        assert [tuple(row) for row in showback] == [
            (before, 2, Decimal(0), Decimal(0), 2, Decimal("0.028")),
            (this, 3, Decimal("0.015"), Decimal("0.015"), 0, Decimal(0)),
        ]
