"""A real Alertmanager: what it tells its receivers of our alerts, and what it forgets when it is started again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.alerts import Alert
from schemas.topics import Topics
from streamgauge.forwarding.alertmanager import Alertmanager, Away, Refused
from streamgauge.forwarding.config import ForwardConfig
from tests.conftest import IN_CI
from tests.streamgauge.alerts.samples import resolved, spike, tell
from tests.streamgauge.forwarding.running import eventually, forwarding
from tests.support.alertmanager import AlertmanagerUnavailableError, RealAlertmanager
from tests.support.receiver import LocalReceiver

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def pager() -> Iterator[LocalReceiver]:
    """Whom Alertmanager tells."""
    with LocalReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def manager(pager: LocalReceiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAlertmanager]:
    try:
        # Shorter than any wait here: what we post stays because we say until when.
        with RealAlertmanager(tmp_path_factory.mktemp("alertmanager"), f"{pager.url}/page", "1s") as running:
            yield running
    except AlertmanagerUnavailableError as error:
        if IN_CI:
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


def now(alert: Alert, minutes: int) -> Alert:
    """The same, told lately: Alertmanager knows of no other time."""
    at = NOW - timedelta(minutes=minutes)
    return alert.model_copy(update={"occurred_at": NOW - timedelta(minutes=30), "evaluated_at": at})


def told(pager: LocalReceiver) -> list[tuple[str, str]]:
    """(state, newest annotation of the state) of each notification."""
    return [(body["status"], body["alerts"][0]["annotations"]["state"]) for body in pager.bodies]


def test_it_takes_our_alerts_and_an_empty_list_and_refuses_others(manager: RealAlertmanager) -> None:
    client = Alertmanager(ForwardConfig("g", manager.url))
    client.post([])
    with pytest.raises(Refused, match="answers 400"):
        client.post(
            [{"labels": {"alertname": "x"}, "startsAt": "2026-11-20T12:00:00Z", "endsAt": "2026-11-20T11:00:00Z"}]
        )
    with pytest.raises(Away, match=r"check forward\.url and its path prefix"):
        Alertmanager(ForwardConfig("g", f"{manager.url}/nowhere")).post([])


def test_one_alert_is_told_when_it_begins_and_when_it_is_over(
    manager: RealAlertmanager, pager: LocalReceiver, tansu_bootstrap: str, topic_prefix: str
) -> None:
    connection, topics = KafkaConnection(tansu_bootstrap, fetch_wait_ms=50), Topics(f"{topic_prefix}.", 2, 2)
    create_topics(connection, topics, replication=1)
    with forwarding(connection, topics, manager.url, repost_s=1.0, keep_s=600.0) as running:
        eventually(running.is_ready, "ready")
        tell(connection, topics.alerts, [now(spike(1, severity="warning", incident="unknown"), 20)])
        eventually(lambda: len(pager.bodies) == 1, "told that it began")
        tell(connection, topics.alerts, [now(spike(1, 1), 15)])
        eventually(lambda: running.count("states_total", result="posted") == 2, "the update")
        held = only(manager)
        assert held["labels"]["severity"] == "warning", "labels are those of the first state"
        assert held["annotations"]["severity"] == "critical"
        assert held["annotations"]["state"] == "updated, revision 1"
        first = held["fingerprint"]

        # It keeps alerts in memory alone: ours come back by themselves.
        manager.stop()
        manager.start()
        eventually(lambda: bool(manager.alerts()), "posted again")
        assert only(manager)["fingerprint"] == first

        tell(connection, topics.alerts, [now(resolved(1, 2), 1)])
        eventually(lambda: told(pager)[-1][0] == "resolved", "told that it is over")
        assert manager.alerts() == []
    assert running.ended == []
    begun = [state for state, _ in told(pager)]
    assert begun[0] == "firing"
    assert begun.count("resolved") == 1, "told once, however often it was posted"


def only(manager: RealAlertmanager) -> dict[str, Any]:
    [held] = manager.alerts()
    return held
