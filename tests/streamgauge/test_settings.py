"""Settings: where values come from, and the one sentence when one is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from sinks.config import ClickHouseTarget, ClickHouseTls, SinkConfig
from streamgauge.local.state import LocalState, local_user_key, process_started, publish_local
from streamgauge.settings import Settings, SettingsError, load_settings
from streamgauge.settings.as_environment import as_environment
from streamgauge.settings.convert import (
    agents_config,
    clickhouse_target,
    enrich_config,
    kafka_connection,
    sink_config,
    topic_names,
)
from streamgauge.settings.unknown import is_secret, variable_name, walk_settings
from streamgauge.settings_docs import PAGE, render
from streams.agents.config import AgentsConfig
from streams.enrich.config import EnrichConfig
from tests.support.certificates import make_certificates

KEY = "a-key-of-16-chars-or-more"


def load(variables: dict[str, str] | None = None, toml: str | None = None, folder: Path | None = None) -> Settings:
    config = None
    if toml is not None:
        assert folder is not None
        config = folder / "streamgauge.toml"
        config.write_text(toml, encoding="utf-8")
    return load_settings(config, environment=variables or {}, use_local=False)


def test_every_setting_is_documented() -> None:
    undocumented = [".".join(path) for path, field in walk_settings(Settings) if not field.description]
    assert undocumented == []


def test_the_page_about_settings_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run `python -m streamgauge.settings_docs`"


def test_every_setting_can_be_given_by_its_variable() -> None:
    defaults = load()
    variables = as_environment(defaults, tuple(Settings.model_fields))
    assert load(variables).model_dump() == defaults.model_dump()


def test_every_secret_looks_like_one() -> None:
    secrets = {".".join(path) for path, field in walk_settings(Settings) if is_secret(field)}
    names = [path for path, _ in walk_settings(Settings)]
    named = {".".join(path) for path in names if "password" in path[-1] or path[-1] in ("user_key", "token")}
    assert secrets == named


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    toml = '[kafka]\nbootstrap = "file:1"\nclient_id = "from-file"\n[topics]\nevent_partitions = 3\n'
    settings = load({"STREAMGAUGE_KAFKA__BOOTSTRAP": "env:1"}, toml, tmp_path)
    assert (settings.kafka.bootstrap, settings.kafka.client_id) == ("env:1", "from-file")
    assert settings.topics.event_partitions == 3


def test_the_variable_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[topics]\nprefix = "acme."\n', encoding="utf-8")
    assert load({"STREAMGAUGE_CONFIG": str(file)}).topics.prefix == "acme."


def test_a_list_is_names_joined_by_commas_or_a_toml_list(tmp_path: Path) -> None:
    assert load({"STREAMGAUGE_ENRICH__TAG_KEYS": "env, region"}).enrich.tag_keys == ("env", "region")
    assert load(None, '[enrich]\ntag_keys = ["env"]\n', tmp_path).enrich.tag_keys == ("env",)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("KAFKA__BOOTSTRP", "x", "is not a setting; did you mean STREAMGAUGE_KAFKA__BOOTSTRAP?"),
        ("TOPICS__EVENT_PARTITIONS", "many", "is 'many': input should be a valid integer"),
        ("TOPICS__EVENT_PARTITIONS", "0", "is '0': input should be greater than or equal to 1"),
        ("LOGS__LEVEL", "LOUD", "is 'LOUD': input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("ENRICH__USER_KEY", "short", "is wrong: must have at least 16 characters"),
        ("KAFKA__BOOTSTRAP", " ", "is ' ': must not be empty"),
        ("KAFKA__BOOTSTRAP", "kafka-1:9092,kafka-2", "'kafka-2' is not HOST:PORT, such as kafka-1:9092"),
        ("KAFKA__BOOTSTRAP", "kafka:99999", "'kafka:99999' is not HOST:PORT"),
        ("KAFKA__SESSION_TIMEOUT_MS", "300001", "is '300001': input should be less than or equal to 300000"),
        ("KAFKA", '{"bootstrap": "x:1"}', "is a section: set its settings one by one, such as STREAMGAUGE_KAFKA__"),
    ],
)
def test_a_wrong_variable_is_one_sentence(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        load({f"STREAMGAUGE_{name}": value})
    assert f"STREAMGAUGE_{name} is " in str(wrong.value)
    assert sentence in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_a_file_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match=r"/nowhere/at-all\.toml does not exist"):
        load({"STREAMGAUGE_CONFIG": "/nowhere/at-all.toml"})


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("[kafka]\nboot = 'x'\n", "kafka.boot in {file} is not a setting; did you mean kafka.bootstrap?"),
        ("[kafka]\nbootstrap = 1\n", "kafka.bootstrap in {file} is 1: input should be a valid string"),
        ("kafka = 1\n", "kafka in {file} is 1, but it is a section: write it as [kafka]"),
        ("[kafka.sasl]\npassword = 'x'\n", "set STREAMGAUGE_KAFKA__SASL__PASSWORD"),
        ("[enrich]\nuser_key = 'x'\n", "set STREAMGAUGE_ENRICH__USER_KEY"),
        ("[kafka\n", "{file} is not TOML"),
    ],
)
def test_a_wrong_file_is_one_sentence(toml: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as wrong:
        load(None, toml, tmp_path)
    assert sentence.format(file=tmp_path / "streamgauge.toml") in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_secrets_are_never_shown() -> None:
    settings = load(
        {variable_name(path): "hunter2-hunter2-hunter2" for path, field in walk_settings(Settings) if is_secret(field)}
    )
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in json.dumps(settings.model_dump(mode="json"))
    assert (
        as_environment(settings, ("kafka", "clickhouse", "registry", "enrich"))
        .keys()
        .isdisjoint(variable_name(path) for path, field in walk_settings(Settings) if is_secret(field))
    )


def test_defaults_are_the_roles_own_defaults() -> None:
    settings = load({"STREAMGAUGE_ENRICH__USER_KEY": KEY})
    assert enrich_config(settings) == EnrichConfig(user_key=KEY.encode())
    assert agents_config(settings) == AgentsConfig()
    assert sink_config(settings) == SinkConfig()
    assert clickhouse_target(settings) == ClickHouseTarget()


def test_money_in_settings_is_exact() -> None:
    variables = {"STREAMGAUGE_AGENTS__SPIKES__EXCESS_PER_HOUR_USD": "0.1"}
    policy = agents_config(load(variables)).spikes
    assert policy.excess_per_hour == 100_000_000
    assert policy.excess_total == AgentsConfig().spikes.excess_total


def test_a_prefix_stands_before_every_group() -> None:
    settings = load({"STREAMGAUGE_ENRICH__USER_KEY": KEY, "STREAMGAUGE_TOPICS__PREFIX": "acme."})
    assert topic_names(settings).events == "acme.usage.events"
    assert enrich_config(settings).group == "acme.streamgauge.enrich"
    assert agents_config(settings).group == "acme.streamgauge.agents"
    # The sink puts the prefix of its topics before its own.
    assert sink_config(settings).group == "streamgauge.sink"


def test_enrich_without_a_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="openssl rand -hex 32"):
        enrich_config(load())


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"KAFKA__TLS__CA_FILE": "/x"}, "kafka.tls.enabled is false"),
        ({"KAFKA__TLS__ENABLED": "true", "KAFKA__TLS__CA_FILE": "/no/ca.pem"}, "'/no/ca.pem', which cannot be read"),
        ({"KAFKA__TLS__ENABLED": "true", "KAFKA__TLS__CERT_FILE": "/x"}, "belong together"),
        ({"KAFKA__SASL__MECHANISM": "PLAIN"}, "the login is not complete"),
        ({"KAFKA__SASL__USERNAME": "ada"}, "no mechanism"),
    ],
)  # fmt: skip
def test_half_a_security_setting_is_refused(variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        kafka_connection(load({f"STREAMGAUGE_{name}": value for name, value in variables.items()}))


def test_a_trust_root_without_a_certificate_is_refused(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("no certificate", encoding="utf-8")
    for section, take in (("KAFKA", kafka_connection), ("CLICKHOUSE", clickhouse_target)):
        variables = {
            f"STREAMGAUGE_{section}__TLS__ENABLED": "true",
            f"STREAMGAUGE_{section}__TLS__CA_FILE": str(ca_file),
        }
        with pytest.raises(SettingsError, match=r"tls\.ca_file is '.*ca\.pem', which holds no certificate"):
            take(load(variables))


def test_clickhouse_takes_tls_and_the_analysts_login(tmp_path: Path) -> None:
    ca_file = make_certificates(tmp_path).ca
    settings = load(
        {
            "STREAMGAUGE_CLICKHOUSE__TLS__ENABLED": "true",
            "STREAMGAUGE_CLICKHOUSE__TLS__CA_FILE": str(ca_file),
            "STREAMGAUGE_CLICKHOUSE__TLS__VERIFY": "false",
            "STREAMGAUGE_CLICKHOUSE__PASSWORD": "writes",
            "STREAMGAUGE_CLICKHOUSE__ANALYST_USER": "ada",
            "STREAMGAUGE_CLICKHOUSE__ANALYST_PASSWORD": "reads",
        }
    )
    sink, analyst = clickhouse_target(settings), clickhouse_target(settings, analyst=True)
    assert sink.tls == analyst.tls == ClickHouseTls(ca_file=str(ca_file), verify=False)
    assert (sink.username, sink.password) == ("default", "writes")
    assert (analyst.username, analyst.password) == ("ada", "reads")


@pytest.fixture
def running(tmp_path: Path) -> LocalState:
    """A house that runs on `tmp_path`, as far as others can see: this very process."""
    state = LocalState(
        pid=os.getpid(),
        started=process_started(os.getpid()) or "",
        data_dir=str(tmp_path),
        bootstrap="127.0.0.1:19092",
        http_host="127.0.0.1",
        http_port=18123,
        database="streamgauge",
        event_partitions=4,
        tally_partitions=4,
        session_timeout_ms=6_000,
        fetch_wait_ms=50,
    )
    local_user_key(tmp_path)
    publish_local(state)
    return state


def test_a_running_house_is_found(running: LocalState) -> None:
    settings = load_settings(environment={"STREAMGAUGE_LOCAL__DATA_DIR": running.data_dir})
    assert settings.kafka.bootstrap == running.bootstrap
    assert settings.clickhouse.port == running.http_port
    assert settings.topics.event_partitions == 4
    assert settings.enrich.user_key == SecretStr(running.user_key())


def test_a_cluster_of_ones_own_is_not_mixed_with_it(running: LocalState) -> None:
    settings = load_settings(
        environment={"STREAMGAUGE_LOCAL__DATA_DIR": running.data_dir, "STREAMGAUGE_KAFKA__BOOTSTRAP": "mine:9092"}
    )
    assert settings.kafka.bootstrap == "mine:9092"
    assert (settings.topics.event_partitions, settings.clickhouse.port, settings.enrich.user_key) == (12, 0, None)


def test_what_a_killed_house_left_is_ignored(running: LocalState) -> None:
    folder = Path(running.data_dir)
    left = (folder / "up.json").read_text(encoding="utf-8").replace(running.started, "1")
    (folder / "up.json").write_text(left, encoding="utf-8")
    settings = load_settings(environment={"STREAMGAUGE_LOCAL__DATA_DIR": running.data_dir})
    assert settings.kafka.bootstrap == "127.0.0.1:9092"


def test_the_local_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    key = local_user_key(tmp_path)
    assert local_user_key(tmp_path) == key
    assert len(key) == 64
    assert (tmp_path / "user.key").stat().st_mode & 0o777 == 0o600
