"""Health means progress: what a probe is told, at which moment."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, Counter

from runtime.clock import FixedClock
from runtime.endpoint import Endpoint, EndpointError
from runtime.health import Health, Verdict
from runtime.standstill import Place, Standstill

SECOND = 1_000_000


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def health(clock: FixedClock) -> Health:
    return Health(clock, stall_s=60)


def test_a_process_that_holds_still_is_not_alive(health: Health, clock: FixedClock) -> None:
    health.ready(is_ready=True)
    clock.advance(60 * SECOND)
    assert health.liveness().ok
    clock.advance(1 * SECOND)
    assert not health.liveness().ok
    assert "no progress for 61 s" in health.liveness().reason
    assert not health.readiness().ok


@pytest.mark.parametrize("sign", ["progress", "idle"])
def test_progress_and_an_empty_input_keep_alive(health: Health, clock: FixedClock, sign: str) -> None:
    clock.advance(59 * SECOND)
    getattr(health, sign)()
    clock.advance(59 * SECOND)
    assert health.liveness().ok


def test_ready_waits_for_the_role_to_say_so(health: Health) -> None:
    assert not health.readiness().ok
    health.ready(is_ready=True)
    assert health.readiness().ok
    health.ready(is_ready=False)
    assert not health.readiness().ok


def test_a_failure_is_told_until_there_is_progress(health: Health) -> None:
    health.ready(is_ready=True)
    health.failing("ClickHouse does not answer")
    assert health.readiness().reason == "ClickHouse does not answer"
    assert health.liveness().ok, "an outage that is waited out is no reason to be killed at once"
    assert "ClickHouse does not answer" in health.liveness().reason
    health.progress()
    assert health.readiness().ok


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_endpoint_serves_probes_and_metrics(health: Health, clock: FixedClock) -> None:
    registry = CollectorRegistry()
    Counter("streamgauge_test_total", "Counted.", registry=registry).inc(3)
    with Endpoint(health, registry, "127.0.0.1", 0) as endpoint:
        assert get(endpoint.port, "/live")[0] == 200
        assert get(endpoint.port, "/ready")[0] == 503
        health.ready(is_ready=True)
        code, body = get(endpoint.port, "/ready")
        assert (code, json.loads(body)["ok"]) == (200, True)
        clock.advance(3_600 * SECOND)
        assert get(endpoint.port, "/live")[0] == 503
        assert "streamgauge_test_total 3.0" in get(endpoint.port, "/metrics")[1]
        code, body = get(endpoint.port, "/nowhere")
        assert code == 404
        assert "/metrics" in body


def test_a_port_in_use_is_one_sentence(health: Health) -> None:
    with (
        Endpoint(health, CollectorRegistry(), "127.0.0.1", 0) as first,
        pytest.raises(EndpointError, match=rf"port {first.port} of 127.0.0.1 .* in use: set http.port"),
    ):
        Endpoint(health, CollectorRegistry(), "127.0.0.1", first.port)


def test_a_role_with_parts_is_as_well_as_its_worst_part() -> None:
    clock = FixedClock()
    health = Health(clock, stall_s=60)
    events, records = health.part("events"), health.part("records")
    records.ready(True)
    records.idle()
    assert not health.readiness().ok
    events.ready(True)
    assert health.readiness().ok
    clock.advance(61_000_000)
    records.progress()
    assert not health.liveness().ok
    assert "events: no progress for 61 s" in health.liveness().reason
    events.idle()
    records.idle()
    assert health.liveness().idle


STUCK = Standstill(Place("usage.events", 3), 70, 12, 61.0)


def test_what_the_watch_sees_rules_over_what_the_loop_says(health: Health, clock: FixedClock) -> None:
    health.holds("usage.events", [2, 3])
    clock.advance(3_600 * SECOND)
    assert not health.liveness().ok, "nobody has looked yet"
    health.watched([])
    assert health.liveness().ok, "an hour without a word, but nothing waits"
    health.watched([STUCK])
    health.progress()
    assert health.liveness() == Verdict(
        False, "usage.events[3] stands still at offset 70 with 12 waiting, for 61 s (limit 60 s)"
    )
    health.watched([replace(STUCK, still_s=60.0)])
    assert health.liveness().ok


def test_an_outage_that_is_waited_out_is_alive_and_not_ready(health: Health, clock: FixedClock) -> None:
    health.ready(True)
    health.holds("usage.enriched", [3])
    health.failing("ClickHouse does not answer")
    health.watched([STUCK])
    assert health.liveness().ok
    assert not health.readiness().ok
    clock.advance(61 * SECOND)
    assert not health.liveness().ok, "it said so once and nothing since: it hangs"


def test_a_spare_worker_is_alive(health: Health, clock: FixedClock) -> None:
    health.ready(True)
    health.holds("usage.events", [])
    health.watched([])
    clock.advance(3_600 * SECOND)
    assert health.liveness() == Verdict(True, "holds no partitions")
    assert health.readiness().ok


def test_idle_is_only_what_was_said_lately(health: Health, clock: FixedClock) -> None:
    health.idle()
    assert health.liveness().idle
    clock.advance(16 * SECOND)
    assert not health.liveness().idle


def test_parts_hold_for_themselves() -> None:
    health = Health(FixedClock(), stall_s=60)
    events, records = health.part("events"), health.part("records")
    events.holds("usage.enriched", [0, 1])
    events.holds("usage.enriched", [1])
    records.holds("usage.rejected", [])
    assert [leaf.holding() for leaf in health.leaves()] == [
        {"usage.enriched": frozenset({1})},
        {"usage.rejected": frozenset()},
    ]
