"""`streamgauge forward` as a process: killed between a post and its commit, it posts again and loses nothing."""

from __future__ import annotations

import os
import signal
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.topics import Topics
from streamgauge.cli import app
from streamgauge.local.process import RoleProcess
from tests.streamgauge.alerts.samples import resolved, spike, tell
from tests.streamgauge.forwarding.running import eventually, states
from tests.support.receiver import LocalReceiver


def environment(bootstrap: str, topics: Topics, url: str) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGAUGE_")}
    return mine | {
        "STREAMGAUGE_CONFIG": os.devnull,
        "STREAMGAUGE_KAFKA__BOOTSTRAP": bootstrap,
        "STREAMGAUGE_KAFKA__FETCH_WAIT_MS": "50",
        "STREAMGAUGE_KAFKA__SESSION_TIMEOUT_MS": "6000",
        "STREAMGAUGE_TOPICS__PREFIX": topics.prefix,
        "STREAMGAUGE_TOPICS__EVENT_PARTITIONS": "2",
        "STREAMGAUGE_TOPICS__TALLY_PARTITIONS": "2",
        "STREAMGAUGE_FORWARD__URL": url,
        "STREAMGAUGE_FORWARD__USERNAME": "streamgauge",
        "STREAMGAUGE_FORWARD__PASSWORD": "secret",
    }


@pytest.mark.slow
@pytest.mark.kafka
def test_killed_between_post_and_commit(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    connection, topics = KafkaConnection(kafka_bootstrap), Topics(f"{topic_prefix}.", 2, 2)
    create_topics(connection, topics, replication=1)
    with LocalReceiver() as receiver:
        role = RoleProcess("forward", tmp_path / "forward.log")
        role.start(environment(kafka_bootstrap, topics, receiver.url))
        try:
            eventually(lambda: role.readiness().ok, "ready")
            assert receiver.requests[0][1] == "Basic c3RyZWFtZ2F1Z2U6c2VjcmV0"
            tell(connection, topics.alerts, [spike(1)])
            eventually(lambda: len(states(receiver.bodies)) == 1, "posted")
            receiver.gate.clear()
            tell(connection, topics.alerts, [resolved(1)])
            eventually(lambda: len(states(receiver.bodies)) == 2, "posted, and not answered")
            os.kill(role.pid, signal.SIGKILL)
            role.stop()
            receiver.gate.set()
            role = RoleProcess("forward", tmp_path / "again.log")
            role.start(environment(kafka_bootstrap, topics, receiver.url))
            eventually(lambda: role.readiness().ok, "ready again")
            posted = [one for body in receiver.bodies for one in body]
            assert states(receiver.bodies) == ["firing, revision 0", "resolved, revision 1", "resolved, revision 1"]
            assert posted[1] == posted[2], "the same alert, as Alertmanager sees it"
            with urllib.request.urlopen(f"http://127.0.0.1:{role.port}/metrics", timeout=5) as answer:
                assert b'streamgauge_forward_states_total{result="posted"} 1.0' in answer.read()
        finally:
            role.stop()
        assert role.exit_code == 0, (tmp_path / "again.log").read_text()[-2_000:]
        assert "secret" not in (tmp_path / "again.log").read_text()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "forward.url is not set: say where Alertmanager is, such as STREAMGAUGE_FORWARD__URL="),
        ({"URL": "alertmanager:9093"}, "forward.url must be http://HOST:PORT"),
        ({"URL": "http://a:b@c"}, "forward.url must be http://HOST:PORT or https://HOST:PORT, without a login"),
        ({"URL": "http://a", "USERNAME": "u"}, "forward.username and STREAMGAUGE_FORWARD__PASSWORD belong together"),
        ({"URL": "http://a", "TOKEN": "t", "USERNAME": "u"}, "exclude each other"),
        ({"URL": "http://a", "CA_FILE": "ca.pem"}, "forward.ca_file is given but forward.url is not https"),
        ({"URL": "http://a", "KEEP_S": "100"}, "make keep_s at least three times repost_s"),
    ],
)
def test_settings_that_do_not_go_together(
    run: CliRunner, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"STREAMGAUGE_FORWARD__{name}", value)
    done = run.invoke(app, ["forward"])
    assert done.exit_code == 1
    assert said in done.stderr
