"""Brokers for tests: an in-memory one that is always there, and Apache Kafka, shared by the whole run.

Tests that share a broker keep apart by `topic_prefix`; a test that stops or kills its broker takes `own_kafka`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import NoReturn

import pytest
from hypothesis import settings

from streamgauge.embedded.broker import EmbeddedBroker
from tests.support.kafka import ApacheKafka
from tests.support.kafka_jars import KafkaUnavailableError

IN_CI = bool(os.environ.get("CI"))

# No deadline per example: the machine's other load is not the code's fault. In CI the examples are the same each time.
settings.register_profile("streamgauge", deadline=None, derandomize=IN_CI)
settings.load_profile("streamgauge")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: begun last, one of them would keep a single worker busy while the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def without_kafka(error: KafkaUnavailableError) -> NoReturn:
    """Skip the test in words, or fail it in CI, where a guarantee that was not tried must not look kept."""
    if IN_CI:
        pytest.fail(f"CI is set, so tests on Apache Kafka must run: {error}", pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """Bootstrap address of Apache Kafka: the one in STREAMGAUGE_TEST_BOOTSTRAP, or one started for this run."""
    given = os.environ.get("STREAMGAUGE_TEST_BOOTSTRAP")
    if given:
        yield given
        return
    try:
        with ApacheKafka() as kafka:
            yield kafka.bootstrap
    except KafkaUnavailableError as error:
        without_kafka(error)


@pytest.fixture
def own_kafka() -> Iterator[ApacheKafka]:
    """An Apache Kafka of the test's own, started; the test may stop, kill and restart it."""
    try:
        with ApacheKafka() as kafka:
            yield kafka
    except KafkaUnavailableError as error:
        without_kafka(error)


@pytest.fixture(scope="session")
def tansu_bootstrap() -> Iterator[str]:
    """Bootstrap address of the embedded in-memory broker."""
    with EmbeddedBroker(cluster_id="streamgauge-tests") as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session", params=["tansu", pytest.param("kafka", marks=pytest.mark.kafka)])
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Runs the test twice: on the embedded broker and on Apache Kafka."""
    address: str = request.getfixturevalue(f"{request.param}_bootstrap")
    return address


@pytest.fixture
def topic_prefix() -> str:
    """A prefix no other test has, for topics, groups and transactional ids on a shared broker."""
    return f"t{uuid.uuid4().hex[:10]}"
