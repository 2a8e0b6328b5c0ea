"""Every role on a Kafka with TLS, a login of its own, and exactly the rights that `topics --acls` prints: it
works, and no more does.
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
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from runtime.access import Right, rights
from runtime.connection import KafkaConnection
from schemas.topics import Role, Topics
from streamgauge.embedded.broker import pick_port
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from tests.streamgauge.alerts.samples import resolved, tell
from tests.support.certificates import Certificates, make_certificates
from tests.support.kafka_jars import KafkaUnavailableError
from tests.support.receiver import LocalReceiver
from tests.support.secure_kafka import SecureKafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PREFIX = "acme."
PASSWORD = "a password of one role"
TOPICS = Topics(PREFIX, 2, 2)
LINES = [f"2023-11-16 18:15:{second:02}.0000000,{100 + second},{second}" for second in range(60)]
RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Alter": AclOperation.ALTER,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}
#: Whoever answers alerts has what docs/operations.md says beside the rights of `ops`.
ON_CALL = "streamgauge-on-call"
TO_ANSWER = (
    Right("ops", "topic", "acme.governance.control", ("Write",)),
    Right("ops", "transactional-id", "acme.streamgauge.apply", ("Write", "Describe")),
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def kafka(certificates: Certificates) -> Iterator[SecureKafka]:
    from tests.conftest import without_kafka

    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # The broker itself and this test's own plain connection.
        "super.users": "User:ANONYMOUS",
    }
    try:
        with SecureKafka(certificates, settings) as broker:
            grant(broker)
            yield broker
    except KafkaUnavailableError as error:
        without_kafka(error)


def grant(broker: SecureKafka) -> None:
    """A user for each role, with the rights of that role; and one for whoever is on call."""
    wanted = [(f"streamgauge-{right.role}", right) for right in rights(TOPICS)]
    wanted += [(ON_CALL, right) for right in (*rights(TOPICS), *TO_ANSWER) if right.role == "ops"]
    for user in {user for user, _ in wanted}:
        broker.add_user(user, PASSWORD)
    bindings = [
        AclBinding(
            RESOURCES[right.resource],
            right.name,
            ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            OPERATIONS[operation],
            AclPermissionType.ALLOW,
        )
        for user, right in wanted
        for operation in right.operations
    ]
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in admin.create_acls(bindings).values():
        future.result()


def environment(kafka: SecureKafka, certificates: Certificates, role: Role) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGAUGE_")}
    return mine | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "STREAMGAUGE_KAFKA__BOOTSTRAP": kafka.address("LOGIN"),
        "STREAMGAUGE_KAFKA__TLS__ENABLED": "true",
        "STREAMGAUGE_KAFKA__TLS__CA_FILE": str(certificates.ca),
        "STREAMGAUGE_KAFKA__SASL__MECHANISM": "SCRAM-SHA-512",
        "STREAMGAUGE_KAFKA__SASL__USERNAME": f"streamgauge-{role}",
        "STREAMGAUGE_KAFKA__SASL__PASSWORD": PASSWORD,
        "STREAMGAUGE_TOPICS__PREFIX": PREFIX,
        "STREAMGAUGE_TOPICS__EVENT_PARTITIONS": "2",
        "STREAMGAUGE_TOPICS__TALLY_PARTITIONS": "2",
        "STREAMGAUGE_TOPICS__REPLICATION": "1",
        "STREAMGAUGE_ENRICH__USER_KEY": "a-key-of-16-chars-or-more",
    }


def run(variables: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "streamgauge", *arguments]
    return subprocess.run(argv, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=120)


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def reasons(ports: dict[Role, int]) -> dict[Role, str]:
    """What each role says of its readiness."""
    told: dict[Role, str] = {}
    for role, port in ports.items():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
                told[role] = answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                told[role] = error.read().decode()
        except OSError as error:
            told[role] = str(error)
    return told


def stacks(waiting: list[Role], processes: dict[Role, subprocess.Popen[bytes]], folder: Path) -> dict[Role, str]:
    """Where those stand that are not ready."""
    found: dict[Role, str] = {}
    for role in waiting:
        log = folder / f"{role}.log"
        before = len(log.read_bytes())
        processes[role].send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 5
        while len(text := log.read_bytes()[before:]) < 500 and time.monotonic() < deadline:
            time.sleep(0.05)
        found[role] = text.decode(errors="replace")[-4_000:]
    return found


def test_every_role_works_with_its_own_rights_alone(
    kafka: SecureKafka, certificates: Certificates, tmp_path: Path
) -> None:
    def as_role(role: Role) -> dict[str, str]:
        return environment(kafka, certificates, role)

    (tmp_path / "trace.csv").write_text(
        "\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *LINES, ""]), encoding="utf-8"
    )
    (tmp_path / "g.yaml").write_text("kind: budget\nid: all\nlimit: 1\nperiod: day\n", encoding="utf-8")
    commands: tuple[tuple[Role, tuple[str, ...]], ...] = (
        ("admin", ("topics",)),
        ("admin", ("apply", "g.yaml")),
        ("ops", ("alerts",)),
        ("admin", ("alerts", "--open")),
        ("ops", ("budgets",)),
    )
    for role, arguments in commands:
        done = run(as_role(role), tmp_path, *arguments)
        assert done.returncode == 0, (role, arguments, done.stderr)
    refused = run(as_role("producer"), tmp_path, "alerts")
    assert refused.returncode == 1, "a producer reads nothing"
    tell(KafkaConnection(kafka.bootstrap), TOPICS.alerts, [alert := resolved()])
    refused = run(as_role("ops"), tmp_path, "alerts", "noise", alert.alert_id)
    assert refused.returncode == 1, "who only looks says nothing"
    on_call = as_role("ops") | {"STREAMGAUGE_KAFKA__SASL__USERNAME": ON_CALL}
    done = run(on_call, tmp_path, "alerts", "noise", alert.alert_id)
    assert (done.returncode, "it is over already" in done.stdout) == (0, True), done.stderr
    with ExitStack() as stack:
        clickhouse = stack.enter_context(EmbeddedClickHouse(tmp_path / "clickhouse"))
        sink = {
            "STREAMGAUGE_CLICKHOUSE__PORT": str(clickhouse.port),
            "STREAMGAUGE_CLICKHOUSE__USER": "writer",
            "STREAMGAUGE_CLICKHOUSE__PASSWORD": clickhouse.writer_password,
        }
        # Whoever has an address is told; that Alertmanager takes it is tested elsewhere.
        forward = {"STREAMGAUGE_FORWARD__URL": stack.enter_context(LocalReceiver()).url}
        extra: dict[Role, dict[str, str]] = {"sink": sink, "forward": forward}
        ports: dict[Role, int] = {}
        processes: dict[Role, subprocess.Popen[bytes]] = {}
        roles: tuple[Role, ...] = ("sink", "agents", "enrich", "forward")
        for role in roles:
            ports[role] = pick_port()
            variables = as_role(role) | {"STREAMGAUGE_HTTP__PORT": str(ports[role])} | extra.get(role, {})
            log = stack.enter_context((tmp_path / f"{role}.log").open("wb"))
            argv = [sys.executable, "-m", "streamgauge", role]
            process = subprocess.Popen(argv, cwd=tmp_path, env=variables, stdout=log, stderr=log)
            processes[role] = process
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        # Four processes start at once: on a busy machine most of a minute is imports.
        deadline = time.monotonic() + 180
        while waiting := [role for role in roles if not ready(ports[role])]:
            logs = {role: (tmp_path / f"{role}.log").read_text(encoding="utf-8")[-4_000:] for role in roles}
            assert time.monotonic() < deadline, (waiting, reasons(ports), stacks(waiting, processes, tmp_path), logs)
            assert all(process.poll() is None for process in processes.values()), logs
            time.sleep(0.2)
        sent = run(as_role("producer"), tmp_path, "replay", "trace.csv", "--format", "azure-llm", "--json")
        assert json.loads(sent.stdout)["delivered"] == 60, sent.stderr
        question = as_role("ops") | {"STREAMGAUGE_CLICKHOUSE__PORT": str(clickhouse.port)}
        while True:
            asked = run(question, tmp_path, "query", "SELECT count() AS n FROM usage_events", "--json")
            shown = run(as_role("gateway"), tmp_path, "budgets", "--json")
            assert shown.returncode == 0, shown.stderr
            told = json.loads(shown.stdout)
            if asked.returncode == 0 and json.loads(asked.stdout)[0]["n"] == 60 and any(one["calls"] for one in told):
                break
            logs = {role: (tmp_path / f"{role}.log").read_text(encoding="utf-8")[-4_000:] for role in roles}
            assert time.monotonic() < deadline + 30, (asked.stderr, told, logs)
            time.sleep(0.5)
        logs = {role: (tmp_path / f"{role}.log").read_text(encoding="utf-8") for role in roles}
        assert not [role for role, text in logs.items() if "uthorization" in text], logs
