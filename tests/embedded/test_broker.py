"""The embedded broker: it answers, refuses a taken port in words, and is gone when its owner is gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from streamgauge.embedded.broker import (
    BrokerPortInUseError,
    BrokerStartError,
    EmbeddedBroker,
    pick_port,
    wait_for_metadata,
)
from streamgauge.embedded.child import LOOPBACK, log_tail, port_answers, port_is_free, spawn_child, stop_child

REPOSITORY = Path(__file__).resolve().parents[2]
OWNER = """
import sys, threading
from streamgauge.embedded.broker import EmbeddedBroker
broker = EmbeddedBroker()
broker.start()
print(broker.bootstrap, flush=True)
threading.Event().wait()
"""


def becomes_true(condition: Callable[[], bool], *, within_s: float = 15.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def cluster_id(bootstrap: str) -> str | None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    found: str | None = admin.list_topics(timeout=10).cluster_id
    return found


def test_it_answers_with_its_cluster_id_and_is_gone_afterwards() -> None:
    with EmbeddedBroker(cluster_id="a-test") as broker:
        port = int(broker.bootstrap.partition(":")[2])
        assert cluster_id(broker.bootstrap) == "a-test"
    assert not broker.alive
    assert port_is_free(port)


def test_it_takes_the_port_asked_for_and_can_be_started_again() -> None:
    port = pick_port()
    broker = EmbeddedBroker(port)
    for _ in range(2):
        with broker:
            assert broker.bootstrap == f"{LOOPBACK}:{port}"
    with pytest.raises(BrokerStartError, match="not running"):
        _ = broker.bootstrap


def test_starting_twice_changes_nothing() -> None:
    with EmbeddedBroker() as broker:
        pid = broker.pid
        broker.start()
        assert broker.pid == pid


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        broker = EmbeddedBroker(port)
        with pytest.raises(BrokerPortInUseError, match=rf"port {port} .* already in use.*another port"):
            broker.start()
        assert not broker.alive


def test_somebody_elses_broker_is_not_taken_for_ours() -> None:
    with EmbeddedBroker(cluster_id="theirs") as broker:
        port = int(broker.bootstrap.partition(":")[2])
        with pytest.raises(BrokerStartError, match="'theirs'"):
            wait_for_metadata(port, "ours", alive=lambda: True, deadline=time.monotonic() + 10)


def test_a_listener_that_is_no_broker_is_an_error_and_not_a_wait_for_ever() -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as mute,
        pytest.raises(BrokerStartError, match="answers no metadata"),
    ):
        wait_for_metadata(mute.getsockname()[1], "ours", alive=lambda: True, deadline=time.monotonic())


def test_a_broker_that_ends_at_once_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "tansu"
    broken.write_text("#!/bin/sh\necho this binary is broken\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(broken))
    broker = EmbeddedBroker()
    with pytest.raises(BrokerStartError, match=r"(?s)ended before it answered.*this binary is broken"):
        broker.start()
    assert not broker.alive


def test_a_missing_binary_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", str(tmp_path / "nowhere"))
    with pytest.raises(BrokerStartError, match="nowhere"):
        EmbeddedBroker().start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_owner_however_the_owner_dies(death: signal.Signals, tmp_path: Path) -> None:
    # What the killed owner cannot clear away, its log, goes into the test's own folder.
    env = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline().strip().partition(":")[2])
        assert port_answers(port)
        owner.send_signal(death)
    assert becomes_true(lambda: not port_answers(port))


def test_a_child_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    stubborn = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    child = spawn_child(["/bin/sh", "-c", stubborn], log_path=log)
    assert becomes_true(lambda: "ready" in log_tail(log))
    stop_child(child, grace_s=0.2)
    assert child.returncode == -signal.SIGKILL


def test_a_child_gets_a_session_of_its_own_so_that_ctrl_c_reaches_only_its_parent(tmp_path: Path) -> None:
    child = spawn_child(["/bin/sh", "-c", "read line"], log_path=tmp_path / "child.log")
    try:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
    finally:
        stop_child(child)
