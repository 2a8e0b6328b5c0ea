"""A worker is killed (SIGKILL) or stalls (SIGSTOP) at a step of its loop; readers still see each event once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.control.budgets import Budget, Scope
from schemas.control.directory import Membership, Sender
from tests.streams.enrich.oracle import RECORDS, check, traffic
from tests.streams.enrich.victim import POINTS
from tests.support.enrich import (
    committed_offsets,
    enrich_all,
    make_topics,
    read_outputs,
    send,
    send_records,
    short_session,
)

pytestmark = pytest.mark.kafka


def run_victim(bootstrap: str, prefix: str, point: str) -> None:
    command = [sys.executable, "-m", "tests.streams.enrich.victim", bootstrap, prefix, point, "SIGKILL"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-3000:]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(kafka_bootstrap: str, topic_prefix: str, point: str) -> None:
    connection = short_session(kafka_bootstrap)
    topics = make_topics(connection, topic_prefix)
    send_records(connection, topics, *RECORDS)
    sent = traffic(topics)
    send(connection, topics.events, sent.messages)

    run_victim(kafka_bootstrap, topics.prefix, point)
    begun = [one for one in committed_offsets(connection, topics).values() if (one[1] or "").startswith("next=")]
    assert begun, "no batch was under way: the victim died too early to show anything"
    enrich_all(connection, topics)

    seen = read_outputs(connection, topics)
    check(seen, sent, topics)
    if point != "after 2":
        assert seen.skipped > 0


def test_a_stalled_worker_that_comes_back(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """What it still writes is a repeat, and it joins again."""
    connection = short_session(kafka_bootstrap)
    topics = make_topics(connection, topic_prefix)
    send_records(connection, topics, *RECORDS)
    sent = traffic(topics)
    send(connection, topics.events, sent.messages)
    log = tmp_path / "log"
    command = [sys.executable, "-m", "tests.streams.enrich.victim", kafka_bootstrap, topics.prefix, "3 half", "SIGSTOP"]
    with log.open("wb") as out:
        victim = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait_for(lambda: Path(f"/proc/{victim.pid}/stat").read_text().split(") ")[1].startswith("T"))
        enrich_all(connection, topics)
        victim.send_signal(signal.SIGCONT)
        # It is a member again when it holds partitions after what its stall brought about was told.
        _wait_for(lambda: "enrich.assigned" in log.read_text().partition("enrich.revoked")[2])
    finally:
        victim.kill()
        victim.wait(10)
    check(read_outputs(connection, topics), sent, topics)


def _wait_for(done: Callable[[], bool], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not so after {seconds} s"


def test_the_repeat_decides_by_the_documents_of_the_batch_that_was_begun(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    """A team moves and a budget comes while a batch is half written: its other half follows the old documents."""
    connection = short_session(kafka_bootstrap)
    topics = make_topics(connection, topic_prefix)
    send_records(connection, topics, *RECORDS)
    sent = traffic(topics)
    send(connection, topics.events, sent.messages)
    run_victim(kafka_bootstrap, topics.prefix, "3 half")
    committed = committed_offsets(connection, topics)
    begun = {p: offset for p, (offset, metadata) in committed.items() if (metadata or "").startswith("next=")}
    moved = [Sender(sender="credential", id=f"key-{n}", terms=(Membership(team="elsewhere"),)) for n in range(5)]
    send_records(connection, topics, *moved, Budget(id="new", scope=Scope(), limit=Decimal(1), period="day"))

    enrich_all(connection, topics)

    seen = read_outputs(connection, topics)
    repeated = [row for row in seen.ledger if row.first == begun.get(row.partition)]
    assert {row.control for row in repeated} == {len(RECORDS)}
    assert {row.control for row in seen.ledger} == {len(RECORDS), len(RECORDS) + 6}
    cells = [row for row in seen.tallies if row["budget_id"] is None and row["source"] is None]
    by_team: dict[str, int] = {}
    for row in seen.rows:
        by_team[row["team_id"]] = by_team.get(row["team_id"], 0) + 1
    counted: dict[str, int] = {}
    for cell in cells:
        counted[cell["team_id"]] = counted.get(cell["team_id"], 0) + cell["calls"]
    assert counted == by_team
    assert "elsewhere" in by_team
