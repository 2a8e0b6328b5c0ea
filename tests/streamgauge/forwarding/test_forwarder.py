"""The forwarder against a local receiver: order, once each, outages, refusals, and a crash after each of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.alerts import Alert
from schemas.topics import Topics
from streamgauge.forwarding.board import Told
from streamgauge.forwarding.forwarder import Forwarder
from tests.streamgauge.alerts.samples import resolved, spike, tell
from tests.streamgauge.forwarding.running import Struck, eventually, forwarding, states
from tests.support.receiver import LocalReceiver

#: A group forms in tenths of a second on Apache Kafka, in three seconds on the embedded broker.
ON_KAFKA = pytest.mark.parametrize("bootstrap", ["kafka"], indirect=True)


@pytest.fixture
def connection(bootstrap: str) -> KafkaConnection:
    return KafkaConnection(bootstrap, session_timeout_ms=6_000, fetch_wait_ms=50)


@pytest.fixture
def topics(topic_prefix: str, connection: KafkaConnection) -> Topics:
    topics = Topics(f"{topic_prefix}.", 2, 2)
    create_topics(connection, topics, replication=1)
    return topics


def test_each_state_once_and_in_order(connection: KafkaConnection, topics: Topics) -> None:
    with LocalReceiver() as receiver, forwarding(connection, topics, f"{receiver.url}/prefix/", token="t") as running:
        eventually(running.is_ready, "ready")
        assert receiver.bodies == [[]], "an empty list shows that somebody is there"
        alerts: list[Alert | bytes] = [spike(1), spike(2, historical=True), spike(3, severity="info"), b"{}"]
        alerts += [spike(1, 1), spike(1, 1), spike(4), resolved(1, 2)]
        tell(connection, topics.alerts, alerts)
        eventually(lambda: running.count("states_total", result="posted") == 4, "all posted")
        assert states(receiver.bodies) == [
            "firing, revision 0",
            "updated, revision 1",
            "firing, revision 0",
            "resolved, revision 2",
        ]
        path, login, _ = receiver.requests[0]
        assert (path, login) == ("/prefix/api/v2/alerts", "Bearer t")
        assert len({str(one["labels"]) for body in receiver.bodies for one in body}) == 2
        for result in ("history", "info", "repeated", "unreadable"):
            assert running.count("states_total", result=result) == 1, result
        eventually(lambda: running.count("open_alerts") == 1, "one is open")
    assert running.ended == []


@pytest.mark.kafka
@ON_KAFKA
def test_a_beginner_tells_what_is_open_and_nothing_that_is_over(connection: KafkaConnection, topics: Topics) -> None:
    tell(connection, topics.alerts, [spike(1), spike(2), resolved(1), spike(2, 1)])
    with LocalReceiver() as receiver:
        with forwarding(connection, topics, receiver.url) as running:
            eventually(running.is_ready, "ready")
            assert states(receiver.bodies) == ["updated, revision 1"]
        tell(connection, topics.alerts, [resolved(2, 2), spike(3)])
        with forwarding(connection, topics, receiver.url) as running:
            eventually(running.is_ready, "ready again")
        assert states(receiver.bodies) == ["updated, revision 1", "resolved, revision 2", "firing, revision 0"], (
            "what was over when it began again was not told as firing first"
        )


@pytest.mark.kafka
@ON_KAFKA
def test_open_alerts_are_posted_again(connection: KafkaConnection, topics: Topics) -> None:
    tell(connection, topics.alerts, [spike(1)])
    with LocalReceiver() as receiver, forwarding(connection, topics, receiver.url, repost_s=0.2):
        eventually(lambda: len(receiver.bodies) >= 4, "posted again")
        first, *others = [body[0] for body in receiver.bodies if body]
        assert {one["endsAt"] > first["endsAt"] for one in others} == {True}
        assert {str(one["labels"]) for one in others} == {str(first["labels"])}


@pytest.mark.kafka
@ON_KAFKA
def test_an_outage_is_waited_out_and_nothing_is_lost(connection: KafkaConnection, topics: Topics) -> None:
    with LocalReceiver() as receiver, forwarding(connection, topics, receiver.url) as running:
        eventually(running.is_ready, "ready")
        for status, text in ((503, "not yet"), (429, ""), (401, ""), (302, "http://elsewhere/"), (404, "")):
            receiver.answer = lambda _body, status=status, text=text: (status, text)  # type: ignore[misc]
            before, waited = len(states(receiver.bodies)), running.count("posts_total", result="waited")
            tell(connection, topics.alerts, [spike(status)])
            eventually(
                lambda waited=waited: running.count("posts_total", result="waited") >= waited + 2,  # type: ignore[misc]
                "tried again",
            )
            verdict = running.health.readiness()
            assert not verdict.ok
            assert str(status) in verdict.reason
            assert running.health.liveness().ok, "an outage is no reason to be restarted"
            posted = running.count("states_total", result="posted")
            receiver.answer = lambda _body: (200, "")
            eventually(
                lambda posted=posted: running.count("states_total", result="posted") == posted + 1,  # type: ignore[misc]
                "posted once it is back",
            )
            assert len(states(receiver.bodies)) > before
            eventually(running.is_ready, "ready again")


@pytest.mark.kafka
@ON_KAFKA
def test_one_that_is_refused_is_put_aside_and_the_others_go_on(connection: KafkaConnection, topics: Topics) -> None:
    bad = spike(2, summary="this one is bad")

    def picky(body: Any) -> tuple[int, str]:
        return (400, "bad") if any("is bad" in one["annotations"]["summary"] for one in body) else (200, "")

    with LocalReceiver() as receiver:
        receiver.answer = picky
        with forwarding(connection, topics, receiver.url, repost_s=0.2) as running:
            eventually(running.is_ready, "ready")
            tell(connection, topics.alerts, [spike(1), bad, spike(3)])
            eventually(lambda: running.count("states_total", result="posted") == 2, "the others")
            assert running.count("states_total", result="put_aside") == 1
            tell(connection, topics.alerts, [spike(2, 1)])
            eventually(lambda: running.count("states_total", result="posted") == 3, "its next state")
            eventually(running.is_ready, "ready")


@pytest.mark.kafka
@ON_KAFKA
def test_whoever_refuses_everything_is_waited_for(connection: KafkaConnection, topics: Topics) -> None:
    """Such as another server on the port: no alert is put aside for it."""
    with LocalReceiver() as receiver, forwarding(connection, topics, receiver.url) as running:
        eventually(running.is_ready, "ready")
        receiver.answer = lambda _body: (400, "Client sent an HTTP request to an HTTPS server.")
        tell(connection, topics.alerts, [spike(1)])
        eventually(lambda: running.count("posts_total", result="waited") >= 2, "waits")
        assert "does not look like Alertmanager" in running.health.readiness().reason
        receiver.answer = lambda _body: (200, "")
        eventually(lambda: running.count("states_total", result="posted") == 1, "posted")
        assert running.count("states_total", result="put_aside") == 0


class DiesBeforePosting(Forwarder):
    def _news(self, told: Sequence[Told]) -> None:
        raise Struck(told)


class DiesAfterPosting(Forwarder):
    def _news(self, told: Sequence[Told]) -> None:
        super()._news(told)
        raise Struck


class DiesAfterCommitting(Forwarder):
    def _commit(self, offset: int) -> bool:
        super()._commit(offset)
        raise Struck


@pytest.mark.kafka
@ON_KAFKA
@pytest.mark.parametrize(("dies", "times"), [(DiesBeforePosting, 1), (DiesAfterPosting, 2), (DiesAfterCommitting, 1)])
def test_a_crash_after_each_step(
    connection: KafkaConnection, topics: Topics, dies: type[Forwarder], times: int
) -> None:
    """Nothing is lost; only a crash between post and commit posts twice, with the same labels and times."""
    with LocalReceiver() as receiver:
        tell(connection, topics.alerts, [spike(1)])
        with forwarding(connection, topics, receiver.url) as first:
            eventually(first.is_ready, "ready")
        tell(connection, topics.alerts, [spike(1, 1), resolved(2), resolved(1, 2)])
        before = len(receiver.bodies)
        with forwarding(connection, topics, receiver.url, dies) as struck:
            eventually(lambda: bool(struck.ended), "dies")
        assert isinstance(struck.ended[0], Struck)
        with forwarding(connection, topics, receiver.url) as again:
            eventually(again.is_ready, "ready again")
        posted = [one for body in receiver.bodies[before:] for one in body]
        ends = [one for one in posted if one["annotations"]["state"] == "resolved, revision 2"]
        assert len({str(one["labels"]) for one in posted}) == 1
        assert len({one["endsAt"] for one in ends}) == 1
        assert states([posted])[-1] == "resolved, revision 2"
        updates = [one for one in posted if one["annotations"]["state"] == "updated, revision 1"]
        assert len(updates) == times
        assert ends


@pytest.mark.kafka
@ON_KAFKA
def test_a_standby_takes_over(connection: KafkaConnection, topics: Topics) -> None:
    with LocalReceiver() as receiver, forwarding(connection, topics, receiver.url) as first:
        eventually(first.is_ready, "ready")
        tell(connection, topics.alerts, [spike(1)])
        eventually(lambda: first.count("states_total", result="posted") == 1, "posted")
        with forwarding(connection, topics, receiver.url) as second:
            eventually(second.is_ready, "stands by, or has it")
            first.halt.set()
            tell(connection, topics.alerts, [resolved(1)])
            eventually(
                lambda: "resolved, revision 1" in states(receiver.bodies), "whoever has the partition told the end"
            )
