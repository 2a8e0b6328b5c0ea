"""In: environment, TOML file, and what a running `streamgauge up` left to be found. Out: one frozen `Settings`, or one
clear error.

Order, strongest first: environment (`STREAMGAUGE_KAFKA__BOOTSTRAP`), TOML file, a running `streamgauge up` in the data
directory (only where neither says where Kafka is), defaults.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as PydanticSettingsError

from streamgauge.local.state import WRITER, LocalState, find_local
from streamgauge.settings.agents import AgentsSettings
from streamgauge.settings.sections import (
    CheckSettings,
    ClickHouseSettings,
    EnrichSettings,
    ForwardSettings,
    HttpSettings,
    KafkaSettings,
    LocalSettings,
    LogSettings,
    RegistrySettings,
    SigningSettings,
    SinkSettings,
    TopicSettings,
)
from streamgauge.settings.unknown import PREFIX, SettingsError, check_environment, check_file

CONFIG_VARIABLE: Final = "STREAMGAUGE_CONFIG"
DEFAULT_FILE: Final = "streamgauge.toml"


class Settings(BaseSettings):
    """Every setting of every role. Build it with `load_settings`, which explains what is wrong."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    kafka: KafkaSettings = Field(KafkaSettings(), description="Where Kafka is and how to speak to it.")
    topics: TopicSettings = Field(TopicSettings(), description="Names and sizes of the topics.")
    clickhouse: ClickHouseSettings = Field(
        ClickHouseSettings(), description="Where ClickHouse is, and how long it keeps rows."
    )
    registry: RegistrySettings = Field(RegistrySettings(), description="The schema registry, where there is one.")
    enrich: EnrichSettings = Field(EnrichSettings(), description="The data plane.")
    agents: AgentsSettings = Field(AgentsSettings(), description="The control plane.")
    sink: SinkSettings = Field(SinkSettings(), description="The writer into ClickHouse.")
    check: CheckSettings = Field(CheckSettings(), description="Answers to gateways, before a call.")
    forward: ForwardSettings = Field(ForwardSettings(), description="Alerts, to Alertmanager.")
    logs: LogSettings = Field(LogSettings(), description="Logs on standard error.")
    http: HttpSettings = Field(HttpSettings(), description="Health and metrics of a role.")
    signing: SigningSettings = Field(SigningSettings(), description="Whose key decisions are signed with.")
    local: LocalSettings = Field(LocalSettings(), description="`streamgauge up` and `streamgauge demo`.")


def load_settings(
    config: Path | None = None, *, environment: Mapping[str, str] | None = None, use_local: bool = True
) -> Settings:
    """Read all sources. SettingsError with a sentence for the first thing wrong, and a line for each further one.

    `config` wins over the variable STREAMGAUGE_CONFIG, which wins over ./streamgauge.toml. `use_local` False: what a
    running `streamgauge up` says is not looked for.
    """
    variables = dict(os.environ if environment is None else environment)
    file, from_file = _read_file(config, variables)
    check_environment(Settings, variables)
    settings = _build(variables, [from_file], file)
    if use_local and "bootstrap" not in _given(settings, "kafka"):
        running = find_local(settings.local.data_dir)
        if running is not None:
            settings = _build(variables, [from_file, _local_values(running)], file)
    return settings


def _given(settings: Settings, section: str) -> set[str]:
    return getattr(settings, section).model_fields_set if section in settings.model_fields_set else set()


def _local_values(state: LocalState) -> dict[str, Any]:
    return {
        "kafka": {
            "bootstrap": state.bootstrap,
            "session_timeout_ms": state.session_timeout_ms,
            "fetch_wait_ms": state.fetch_wait_ms,
        },
        "topics": {
            "event_partitions": state.event_partitions,
            "tally_partitions": state.tally_partitions,
            "replication": 1,
        },
        "clickhouse": {
            "host": state.http_host,
            "port": state.http_port,
            "database": state.database,
            "user": WRITER,
            "password": state.writer_password(),
        },
        "enrich": {"user_key": state.user_key()},
    }


def _read_file(config: Path | None, variables: Mapping[str, str]) -> tuple[Path | None, dict[str, Any]]:
    named = config or (Path(variables[CONFIG_VARIABLE]) if variables.get(CONFIG_VARIABLE) else None)
    path = named or Path(DEFAULT_FILE)
    if named is None and not path.is_file():
        return None, {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"the settings file {path} does not exist: name another with --config or {CONFIG_VARIABLE}"
        ) from error
    except OSError as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
    check_file(Settings, path, values)
    return path, values


class _Variables(EnvSettingsSource):
    """The environment as it was handed in, not as the process has it."""

    def __init__(self, settings: type[BaseSettings], variables: Mapping[str, str]) -> None:
        self._variables = {name.lower(): value for name, value in variables.items()}
        super().__init__(settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name: value for name, value in self._variables.items() if value}


def _build(variables: Mapping[str, str], layers: list[dict[str, Any]], file: Path | None) -> Settings:
    """Environment over `layers`, the first of which wins."""

    class _Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            *_usual: PydanticBaseSettingsSource,
            **_named: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (_Variables(settings_cls, variables), *(InitSettingsSource(settings_cls, layer) for layer in layers))

    try:
        return _Loaded()
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(problem, variables, file) for problem in error.errors())) from None
    except PydanticSettingsError as error:
        # A whole section given as one variable must be JSON.
        raise SettingsError(
            f"{error}: a section given as one variable must be JSON; set its settings one by one"
        ) from None


def _sentence(problem: Any, variables: Mapping[str, str], file: Path | None) -> str:
    """Where the value stands, what it is (never a secret) and what is accepted."""
    path = [str(part) for part in problem["loc"]]
    variable = PREFIX + "__".join(path).upper()
    there = next((name for name in variables if name.upper() == variable), None)
    where = there or (f"{'.'.join(path)} in {file}" if file is not None else ".".join(path))
    secret = any(word in path[-1] for word in ("password", "user_key"))
    what = "is wrong" if secret else f"is {problem['input']!r}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in ("too_short", "string_too_short"):
        least = problem["ctx"]["min_length"]
        message = "must not be empty" if least == 1 else f"must have at least {least} characters"
    return f"{where} {what}: {message[0].lower()}{message[1:]}"
