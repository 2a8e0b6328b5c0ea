"""docker-compose.yml: pinned, healthy, least privileged, and set with settings that exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from schemas.topics import Topics
from streamgauge.cli import app
from streamgauge.settings import load_settings
from streamgauge.settings.convert import (
    check_config,
    clickhouse_target,
    enrich_config,
    forward_config,
    kafka_connection,
    topic_names,
)
from tests.cluster.files import COMPOSE_FILE, ROLES, ROOT, compose, example_environment, filled, service, variables

SERVICES = sorted(compose()["services"])
#: Ours that run for ever; `check` publishes a port, so it is not scaled by count.
LASTING = (*ROLES, "check", "forward")
OURS = (*LASTING, "setup")


def test_the_house_is_complete() -> None:
    assert set(SERVICES) == {"kafka", "schema-registry", "clickhouse", "grafana", "alertmanager", "setup", *LASTING}


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    image, _, tag = service(name)["image"].partition(":")
    assert image
    assert re.fullmatch(r"v?\d+(\.\d+){2,3}", tag), f"{name}: {tag!r} is not an exact version"


def test_kafka_is_the_one_that_tests_run_on() -> None:
    pom = (ROOT / "tests" / "support" / "pom.xml").read_text(encoding="utf-8")
    version = re.search(r"<kafka.version>(.+?)</kafka.version>", pom)
    assert version is not None
    assert service("kafka")["image"] == f"apache/kafka:{version[1]}"


def test_our_image_has_our_version() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', pyproject, re.MULTILINE)
    assert version is not None
    assert {service(name)["image"] for name in OURS} == {f"streamgauge:{version[1]}"}
    assert f"streamgauge:{version[1]}" in (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in OURS])
def test_every_foreign_service_has_a_health_check(name: str) -> None:
    check = service(name)["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries"} <= set(check)


def test_ours_is_checked_by_the_image() -> None:
    assert service("setup")["healthcheck"] == {"disable": True}, "setup ends: it has no endpoint to ask"
    assert all("healthcheck" not in service(name) for name in LASTING)


@pytest.mark.parametrize("name", ROLES)
def test_roles_can_be_scaled(name: str) -> None:
    role = service(name)
    assert "container_name" not in role, "a name of its own lets only one container be"
    assert "ports" not in role, "a published port lets only one container be"


@pytest.mark.parametrize("name", OURS)
def test_ours_may_do_little(name: str) -> None:
    role = service(name)
    assert role["cap_drop"] == ["ALL"]
    assert role["read_only"] is True
    assert "no-new-privileges:true" in role["security_opt"]
    assert "volumes" not in role, "no state outside of Kafka and ClickHouse"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service(name).get("ports", []))


def test_data_is_in_named_volumes() -> None:
    named = set(compose()["volumes"])
    mounted = [volume for name in SERVICES for volume in service(name).get("volumes", [])]
    assert {volume.split(":")[0] for volume in mounted if not volume.startswith("./")} == named
    for volume in mounted:
        if volume.startswith("./"):
            source, _, mode = volume.removeprefix("./").partition(":")
            assert (ROOT / source).exists(), f"{source} is mounted but not there"
            assert mode.endswith(":ro"), f"{source} is ours: containers only read it"


def test_secrets_are_required_and_explained() -> None:
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    used = variables(text)
    assert set(used) == example_environment()
    assert all(used.values()), f"optional: {[name for name, required in used.items() if not required]}"
    assert set(re.findall(r"\$\{([A-Z_]+):\?set \1 in \.env, see \.env\.example\}", text)) == set(used)


def test_no_secret_is_written_down() -> None:
    for name in SERVICES:
        for variable, value in service(name).get("environment", {}).items():
            if re.search(r"PASSWORD|KEY|SECRET|TOKEN", variable):
                assert value.startswith("${"), f"{name}: {variable} has a value of its own"
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines():
        assert not line or line.startswith("#") or line.endswith("="), "the example holds no secrets"


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_are_waited_for_until_healthy(name: str) -> None:
    for needed, condition in service(name).get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed == "setup" else "service_healthy"
        assert condition == {"condition": expected}


def settings_of(name: str) -> Any:
    environment = {key: value for key, value in filled(service(name)["environment"]).items() if "STREAMGAUGE" in key}
    return load_settings(environment=environment, use_local=False)


@pytest.mark.parametrize("name", OURS)
def test_settings_exist_and_are_accepted(name: str) -> None:
    """`load_settings` refuses a variable that names no setting."""
    assert all(key.startswith("STREAMGAUGE_") for key in service(name)["environment"])
    settings = settings_of(name)
    kafka = service("kafka")["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INSIDE://{kafka_connection(settings).bootstrap}" in kafka.split(",")
    assert topic_names(settings) == Topics(), "compose and code agree on the partition counts"


def test_each_role_is_given_what_it_needs_and_no_more() -> None:
    given = {name: {key.split("__")[0] for key in service(name)["environment"]} for name in OURS}
    common = {"STREAMGAUGE_KAFKA", "STREAMGAUGE_TOPICS", "STREAMGAUGE_LOGS"}
    assert given == {
        "setup": common | {"STREAMGAUGE_REGISTRY"},
        "enrich": common | {"STREAMGAUGE_REGISTRY", "STREAMGAUGE_ENRICH"},
        "agents": common | {"STREAMGAUGE_CLICKHOUSE"},
        "sink": common | {"STREAMGAUGE_REGISTRY", "STREAMGAUGE_CLICKHOUSE"},
        "check": common | {"STREAMGAUGE_ENRICH", "STREAMGAUGE_CHECK"},
        "forward": common | {"STREAMGAUGE_FORWARD"},
    }
    assert forward_config(settings_of("forward")).url == "http://alertmanager:9093"
    assert enrich_config(settings_of("enrich")).user_key
    assert clickhouse_target(settings_of("sink")).username == "writer"
    assert clickhouse_target(settings_of("agents")).username == "reader"


def test_the_registry_is_where_roles_look_for_it() -> None:
    listener = service("schema-registry")["environment"]["SCHEMA_REGISTRY_LISTENERS"]
    port = listener.rpartition(":")[2]
    for name in ("setup", "enrich", "sink"):
        assert settings_of(name).registry.url == f"http://schema-registry:{port}"


def commands() -> TyperGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


@pytest.mark.parametrize("name", ROLES)
def test_roles_run_a_command_that_exists(name: str) -> None:
    assert service(name)["command"] == [name]
    assert name in commands().commands


def test_the_check_listens_where_its_port_is_published() -> None:
    check = service("check")
    config = check_config(settings_of("check"))
    assert check["command"] == ["check", "serve"]
    assert check["ports"] == [f"127.0.0.1:{config.port}:{config.port}"]
    assert (config.host, bool(config.user_key)) == ("0.0.0.0", True)


def test_setup_runs_commands_that_exist() -> None:
    [script] = service("setup")["command"]
    for line in script.split(" && "):
        program, *path = line.split()
        assert program == "streamgauge"
        command: Any = commands()
        for word in path:
            assert word in command.commands, f"setup runs `{line}`, but there is no command {word!r}"
            command = command.commands[word]
