"""TLS and logins: the same settings open a real Kafka to both clients, and ClickHouse; wrong ones say what to check."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from urllib3.exceptions import InsecureRequestWarning

from runtime.connection import KafkaConnection
from streamgauge.asking import ClickHouseUnreachable, open_database
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from streamgauge.reach import KafkaUnreachable, reach_kafka
from streamgauge.settings import load_settings
from streamgauge.settings.convert import clickhouse_target, kafka_connection
from tests.support.certificates import Certificates, make_certificates
from tests.support.kafka_jars import KafkaUnavailableError
from tests.support.secure_kafka import PASSWORD, USER, SecureKafka
from tests.support.tls_door import TlsDoor

TOPIC = "behind-the-door"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def kafka(certificates: Certificates) -> Iterator[SecureKafka]:
    from tests.conftest import without_kafka

    try:
        with SecureKafka(certificates) as broker:
            admin = AdminClient({"bootstrap.servers": broker.bootstrap})
            admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result()
            broker.add_user(USER, PASSWORD)
            yield broker
    except KafkaUnavailableError as error:
        without_kafka(error)


def connection(**variables: object) -> KafkaConnection:
    """What the roles are handed when these settings are in the environment."""
    environment = {f"STREAMGAUGE_KAFKA__{name}": str(value) for name, value in variables.items()}
    return kafka_connection(load_settings(environment=environment, use_local=False))


def login(kafka: SecureKafka, certificates: Certificates, mechanism: str, **more: object) -> KafkaConnection:
    settings = {
        "BOOTSTRAP": kafka.address("LOGIN"),
        "TLS__ENABLED": "true",
        "TLS__CA_FILE": certificates.ca,
        "SASL__MECHANISM": mechanism,
        "SASL__USERNAME": USER,
        "SASL__PASSWORD": PASSWORD,
    }
    return connection(**(settings | more))


def mutual(kafka: SecureKafka, certificates: Certificates, **more: object) -> KafkaConnection:
    settings = {
        "BOOTSTRAP": kafka.address("MUTUAL"),
        "TLS__ENABLED": "true",
        "TLS__CA_FILE": certificates.ca,
        "TLS__CERT_FILE": certificates.client_cert,
        "TLS__KEY_FILE": certificates.client_key,
        "TLS__KEY_PASSWORD": certificates.key_password,
    }
    return connection(**(settings | more))


def round_trip(one: KafkaConnection, value: bytes) -> None:
    """librdkafka writes, aiokafka reads, both by the same connection."""
    producer = Producer(one.librdkafka())
    reports: list[tuple[object, int | None]] = []
    producer.produce(
        TOPIC, value, partition=0, on_delivery=lambda error, message: reports.append((error, message.offset()))
    )
    assert producer.flush(20) == 0
    [(error, offset)] = reports
    assert error is None
    assert offset is not None

    async def read() -> bytes | None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=one.bootstrap,
            security_protocol=one.security_protocol,
            ssl_context=one.ssl_context(),
            **(
                {}
                if one.sasl is None
                else {
                    "sasl_mechanism": one.sasl.mechanism,
                    "sasl_plain_username": one.sasl.username,
                    "sasl_plain_password": one.sasl.password,
                }
            ),
        )
        await consumer.start()
        try:
            place = TopicPartition(TOPIC, 0)
            consumer.assign([place])
            consumer.seek(place, offset)
            message = await asyncio.wait_for(consumer.getone(place), 20)
            value: bytes | None = message.value
            return value
        finally:
            await consumer.stop()

    assert asyncio.run(read()) == value


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_both_clients_log_in_over_tls(kafka: SecureKafka, certificates: Certificates, mechanism: str) -> None:
    one = login(kafka, certificates, mechanism)
    assert one.security_protocol == "SASL_SSL"
    assert reach_kafka(one) == kafka.cluster_id
    round_trip(one, f"login {mechanism}".encode())


@pytest.mark.kafka
def test_both_clients_show_their_certificate(kafka: SecureKafka, certificates: Certificates) -> None:
    one = mutual(kafka, certificates)
    assert one.security_protocol == "SSL"
    assert reach_kafka(one) == kafka.cluster_id
    round_trip(one, b"mutual")


@pytest.mark.kafka
def test_both_clients_log_in_without_tls(kafka: SecureKafka) -> None:
    one = connection(
        BOOTSTRAP=kafka.address("BARE"), SASL__MECHANISM="SCRAM-SHA-512", SASL__USERNAME=USER, SASL__PASSWORD=PASSWORD
    )
    assert one.security_protocol == "SASL_PLAINTEXT"
    round_trip(one, b"bare")


@pytest.mark.kafka
def test_a_wrong_password_says_so_and_is_not_waited_for(kafka: SecureKafka, certificates: Certificates) -> None:
    with pytest.raises(KafkaUnreachable, match="STREAMGAUGE_KAFKA__SASL__PASSWORD") as refused:
        reach_kafka(login(kafka, certificates, "SCRAM-SHA-512", SASL__PASSWORD="wrong"))
    assert not refused.value.waiting_helps
    assert "wrong" not in str(refused.value)


@pytest.mark.kafka
def test_a_server_that_our_authority_did_not_sign_is_refused(kafka: SecureKafka, certificates: Certificates) -> None:
    with pytest.raises(KafkaUnreachable, match=r"kafka\.tls\.ca_file") as refused:
        reach_kafka(login(kafka, certificates, "PLAIN", TLS__CA_FILE=certificates.other_ca))
    assert not refused.value.waiting_helps


@pytest.mark.kafka
def test_without_a_certificate_the_mutual_door_stays_shut(kafka: SecureKafka, certificates: Certificates) -> None:
    bare = connection(BOOTSTRAP=kafka.address("MUTUAL"), TLS__ENABLED="true", TLS__CA_FILE=certificates.ca)
    with pytest.raises(KafkaUnreachable, match="over SSL"):
        reach_kafka(bare, timeout_s=4)


@pytest.mark.kafka
def test_plain_text_at_a_tls_door_is_explained(kafka: SecureKafka) -> None:
    with pytest.raises(KafkaUnreachable, match=r"over PLAINTEXT .*kafka\.tls"):
        reach_kafka(connection(BOOTSTRAP=kafka.address("LOGIN")), timeout_s=4)


@pytest.mark.kafka
def test_the_servers_name_is_checked_unless_told_not_to(tmp_path: Path) -> None:
    named = make_certificates(tmp_path, "DNS:elsewhere.example")
    from tests.conftest import without_kafka

    try:
        with SecureKafka(named) as broker:
            with pytest.raises(KafkaUnreachable):
                reach_kafka(mutual(broker, named), timeout_s=4)
            assert reach_kafka(mutual(broker, named, TLS__VERIFY_HOSTNAME="false")) == broker.cluster_id
    except KafkaUnavailableError as error:
        without_kafka(error)


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse")) as engine:
        yield engine


def ask(port: int, **variables: object) -> int:
    """Ask ClickHouse by these settings; the answer is 42."""
    given = {"PORT": port, "TLS__ENABLED": "true", "DATABASE": "default", **variables}
    environment = {f"STREAMGAUGE_CLICKHOUSE__{name}": str(value) for name, value in given.items()}
    target = clickhouse_target(load_settings(environment=environment, use_local=False), analyst=True)
    with open_database(target) as database:
        return int(database.query("SELECT 42")[0][0])


def test_clickhouse_over_tls(clickhouse: EmbeddedClickHouse, certificates: Certificates) -> None:
    with TlsDoor(clickhouse.port, certificates) as door:
        assert ask(door.port, TLS__CA_FILE=certificates.ca) == 42
        with pytest.warns(InsecureRequestWarning):
            assert ask(door.port, TLS__VERIFY="false") == 42
        with pytest.raises(ClickHouseUnreachable, match=r"clickhouse\.tls"):
            ask(door.port, TLS__CA_FILE=certificates.other_ca)


def test_clickhouse_may_want_our_certificate(
    clickhouse: EmbeddedClickHouse, certificates: Certificates, tmp_path: Path
) -> None:
    bare_key = tmp_path / "client.key"
    bare_key.write_text((certificates.ca.parent / "client.key").read_text(encoding="ascii"), encoding="ascii")
    with TlsDoor(clickhouse.port, certificates, mutual=True) as door:
        shown = {"TLS__CERT_FILE": certificates.client_cert, "TLS__KEY_FILE": bare_key}
        assert ask(door.port, TLS__CA_FILE=certificates.ca, **shown) == 42
        with pytest.raises(ClickHouseUnreachable):
            ask(door.port, TLS__CA_FILE=certificates.ca)
