"""`streamgauge check` as a person runs it: its own process, fed by the topics, asked over HTTP and from the terminal;
what it says while Kafka is away.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.control.budgets import Budget, Scope
from schemas.control.records import ControlRecord, record_key
from schemas.pseudonym import hash_user
from schemas.status import BudgetStatus
from schemas.topics import Topics
from streamgauge.apply.plan import Change, Plan
from streamgauge.apply.publish import publish_plan
from streamgauge.embedded.broker import EmbeddedBroker, pick_port
from tests.streamgauge.checking.support import KEY, monthly, record_of, status_of

pytestmark = pytest.mark.slow

DEADLINE_S = 60.0


def eventually(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
        time.sleep(0.02)


class House:
    """Topics on a broker, and who writes them."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.connection, self.topics = KafkaConnection(bootstrap, fetch_wait_ms=50), Topics(prefix, 2, 2)
        create_topics(self.connection, self.topics, replication=1)
        self._producer = Producer(self.connection.librdkafka())

    def apply(self, *records: ControlRecord) -> None:
        changes = tuple(Change("create", record_key(record), record) for record in records)
        publish_plan(Plan(changes, 0, 0), self.connection, self.topics)

    def tell(self, *statuses: BudgetStatus, topic: str | None = None) -> None:
        for status in statuses:
            key, value = record_of(status)
            self._producer.produce(topic or self.topics.status, value, key)
        assert self._producer.flush(15) == 0

    def environment(self) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGAUGE_")}
        return mine | {
            "STREAMGAUGE_CONFIG": os.devnull,
            "STREAMGAUGE_KAFKA__BOOTSTRAP": self.connection.bootstrap,
            "STREAMGAUGE_KAFKA__FETCH_WAIT_MS": "50",
            "STREAMGAUGE_TOPICS__PREFIX": self.topics.prefix,
            "STREAMGAUGE_TOPICS__EVENT_PARTITIONS": "2",
            "STREAMGAUGE_TOPICS__TALLY_PARTITIONS": "2",
            "STREAMGAUGE_ENRICH__USER_KEY": KEY.decode(),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "COLUMNS": "100",
        }


class Check:
    """A running `streamgauge check serve`."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.port, self.probe, self._log = pick_port(), pick_port(), log
        more = {
            "STREAMGAUGE_CHECK__PORT": str(self.port),
            "STREAMGAUGE_HTTP__PORT": str(self.probe),
            "STREAMGAUGE_CHECK__STALE_AFTER_S": "2",
        }
        with log.open("wb") as out:
            argv = [sys.executable, "-m", "streamgauge", "check", "serve"]
            self.process = subprocess.Popen(argv, env=environment | more, stdout=out, stderr=out)

    def ask(self, **asked: object) -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/check", json.dumps(asked).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    def decides(self, **asked: object) -> str | None:
        assert self.process.poll() is None, self.log()
        try:
            return str(self.ask(**asked)["decision"])
        except OSError:
            return None

    def probed(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.probe}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as bad:
            with bad:
                return bad.code, bad.read().decode()

    def log(self) -> str:
        return self._log.read_text()[-3_000:]


@contextmanager
def running(environment: dict[str, str], folder: Path) -> Iterator[Check]:
    check = Check(environment, folder / "check.log")
    try:
        yield check
    finally:
        if check.process.poll() is None:
            check.process.send_signal(signal.SIGTERM)
            assert check.process.wait(30) == 0, check.log()


def company() -> tuple[Budget, Budget]:
    return monthly("search", Scope(team="search")), monthly("ann", Scope(user=hash_user(KEY, "ann")))


def test_it_follows_documents_and_statuses(bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    house, now = House(bootstrap, topic_prefix), datetime.now(UTC)
    search, ann = company()
    with running(house.environment(), tmp_path) as check:
        eventually(lambda: check.decides(team_id="search") == "allow", "an answer without any document")
        assert check.probed("/ready")[0] == 200
        house.apply(search, ann)
        eventually(lambda: check.decides(team_id="search") == "warn", "a budget that nobody has told of is unknown")
        house.tell(status_of(search, 10, at=now))
        eventually(lambda: check.decides(team_id="search") == "allow", "its status")
        house.tell(status_of(search, 120, at=now))
        began = time.monotonic()
        eventually(lambda: check.decides(team_id="search") == "stop", "a stop")
        assert time.monotonic() - began < 1.0, "a status is known within a second"
        told = check.ask(team_id="search")
        assert told["freshness"]["read_behind_s"] < 2
        assert told["freshness"]["watermark"] == now.isoformat()
        house.tell(status_of(ann, 130, at=now), topic=house.topics.status_users)
        eventually(lambda: check.decides(user_id="ann") == "stop", "a budget about one person")
        assert check.decides(user_id="bob") == "allow"
        _, metrics = check.probed("/metrics")
        assert "streamgauge_check_budgets 2.0" in metrics
        assert "streamgauge_check_statuses 2.0" in metrics
        argv = [sys.executable, "-m", "streamgauge", "check", "ask", "--team", "search", "--user", "ann"]
        for options in ([], ["--json"]):
            done = subprocess.run(
                [*argv, *options], env=house.environment(), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            if options:
                assert json.loads(done.stdout)["decision"] == "stop"
            else:
                assert done.stdout.startswith("stop: Budget ann (one person")
                assert "not a lock" in done.stdout
                assert max(map(len, done.stdout.splitlines()[1:])) <= 100


def test_without_kafka_it_says_that_it_knows_nothing_then_how_old_it_is(tmp_path: Path) -> None:
    """It answers before Kafka is there, reads what stands once it is, and goes on when it is away again."""
    port = pick_port()
    environment = House.__new__(House)
    environment.connection, environment.topics = KafkaConnection(f"127.0.0.1:{port}"), Topics("away.", 2, 2)
    search, _ = company()
    with running(environment.environment(), tmp_path) as check:
        eventually(lambda: check.decides(team_id="search") is not None, "an answer")
        told = check.ask(team_id="search")
        assert (told["decision"], told["freshness"]["read_behind_s"]) == ("warn", None)
        assert "nothing is known" in told["reasons"][0]["text"]
        assert check.probed("/ready")[0] == 503
        assert check.probed("/live")[0] == 200
        with EmbeddedBroker(cluster_id="away", port=port) as broker:
            house = House(broker.bootstrap, "away.")
            house.apply(search)
            house.tell(status_of(search, 120, at=datetime.now(UTC)))
            eventually(lambda: check.decides(team_id="search") == "stop", "what stands on the topics")
            eventually(lambda: check.probed("/ready")[0] == 200, "ready")
        eventually(lambda: bool(check.ask(team_id="search")["freshness"]["stale"]), "stale")
        told = check.ask(team_id="search")
        assert told["decision"] == "stop"
        assert {reason["id"] for reason in told["reasons"]} == {"search", "stale"}
        assert check.decides(team_id="sales") == "warn"
        assert check.probed("/ready")[0] == 200, "it has answers to give"


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    house = House.__new__(House)
    house.connection, house.topics = KafkaConnection("127.0.0.1:1"), Topics("none.", 2, 2)
    with running(house.environment(), tmp_path) as check:
        eventually(lambda: check.decides() is not None, "an answer")
        more = {"STREAMGAUGE_CHECK__PORT": str(check.port)}
        argv = [sys.executable, "-m", "streamgauge", "check", "serve"]
        done = subprocess.run(
            argv, env=house.environment() | more, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            f"streamgauge: port {check.port} of 127.0.0.1 is in use: set check.port to a free one"
        )
