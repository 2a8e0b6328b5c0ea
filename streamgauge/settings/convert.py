"""In: settings. Out: what each room takes: connection, topics, ClickHouse target and each role's own configuration.

The one place where settings become configuration, so that a setting and what it does can be read side by side.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.connection import KafkaConnection, Sasl, Tls
from schemas.topics import Topics
from streamgauge.settings.loading import Settings
from streamgauge.settings.unknown import SettingsError, variable_name

if TYPE_CHECKING:
    from pydantic import SecretStr

    from sinks.config import ClickHouseTarget, SinkConfig
    from streamgauge.checking.config import CheckConfig
    from streamgauge.forwarding.config import ForwardConfig
    from streams.agents.config import AgentsConfig
    from streams.enrich.config import EnrichConfig


def kafka_connection(settings: Settings, client_id: str | None = None) -> KafkaConnection:
    """SettingsError when TLS or SASL is given by halves or a file cannot be read."""
    kafka = settings.kafka
    tls: Tls | None = None
    if kafka.tls.enabled:
        if (kafka.tls.cert_file is None) != (kafka.tls.key_file is None):
            raise SettingsError("kafka.tls.cert_file and kafka.tls.key_file belong together: give both or neither")
        tls = Tls(
            ca_file=_trust_root("kafka.tls.ca_file", kafka.tls.ca_file),
            cert_file=_readable("kafka.tls.cert_file", kafka.tls.cert_file),
            key_file=_readable("kafka.tls.key_file", kafka.tls.key_file),
            key_password=reveal(kafka.tls.key_password),
            verify_hostname=kafka.tls.verify_hostname,
        )
    elif kafka.tls.ca_file or kafka.tls.cert_file or kafka.tls.key_file:
        raise SettingsError(
            "kafka.tls has files but kafka.tls.enabled is false: set it to true, or take the files away"
        )
    sasl: Sasl | None = None
    if kafka.sasl.mechanism is not None:
        password = reveal(kafka.sasl.password)
        if not kafka.sasl.username or not password:
            raise SettingsError(
                f"kafka.sasl.mechanism is {kafka.sasl.mechanism} but the login is not complete: "
                f"set kafka.sasl.username and the variable {variable_name(('kafka', 'sasl', 'password'))}"
            )
        sasl = Sasl(kafka.sasl.mechanism, kafka.sasl.username, password)
    elif kafka.sasl.username or kafka.sasl.password:
        raise SettingsError("kafka.sasl has a login but no mechanism: set kafka.sasl.mechanism, such as SCRAM-SHA-512")
    return KafkaConnection(
        kafka.bootstrap, tls, sasl, client_id or kafka.client_id, kafka.session_timeout_ms, kafka.fetch_wait_ms
    )


def topic_names(settings: Settings) -> Topics:
    return Topics(settings.topics.prefix, settings.topics.event_partitions, settings.topics.tally_partitions)


def user_key(settings: Settings) -> bytes:
    """The key of the user hash. SettingsError when there is none: a made-up one would split every person in two."""
    key = reveal(settings.enrich.user_key)
    if key is None:
        raise SettingsError(
            f"the environment variable {variable_name(('enrich', 'user_key'))} is not set: it keys the hash that "
            "stands for user ids; make one with `openssl rand -hex 32`, keep it secret and never change it"
        )
    return key.encode()


def enrich_config(settings: Settings) -> EnrichConfig:
    from streams.enrich.config import EnrichConfig

    enrich = settings.enrich
    return EnrichConfig(
        user_key=user_key(settings),
        group=f"{settings.topics.prefix}streamgauge.enrich",
        batch_messages=enrich.batch_messages,
        poll_ms=enrich.poll_ms,
        lateness_s=enrich.lateness_s,
        dedupe_horizon_s=enrich.dedupe_horizon_s,
        dedupe_max_ids=enrich.dedupe_max_ids,
        accept_missing_window=enrich.accept_missing_window,
        reject_limit_share=enrich.reject_limit_share,
        reject_limit_events=enrich.reject_limit_events,
        reject_limit_run=enrich.reject_limit_run,
        tag_keys=enrich.tag_keys,
        provisional_input_usd_per_mtok=enrich.provisional_input_usd_per_mtok,
        provisional_output_usd_per_mtok=enrich.provisional_output_usd_per_mtok,
    )


def agents_config(settings: Settings) -> AgentsConfig:
    from streams.agents.config import AgentsConfig
    from streams.agents.policy.limits import PolicyLimits
    from streams.agents.reviews.policy import ReviewPolicy
    from streams.agents.spikes.policy import SpikePolicy

    spikes, reviews = settings.agents.spikes, settings.agents.reviews
    policy = SpikePolicy(enabled=spikes.enabled)
    if spikes.excess_per_hour_usd is not None:
        excess = _nano(spikes.excess_per_hour_usd)
        policy = replace(policy, excess_per_hour=excess, early_excess=max(1, excess // 2))
    if spikes.excess_total_usd is not None:
        policy = replace(policy, excess_total=_nano(spikes.excess_total_usd))
    return AgentsConfig(
        group=f"{settings.topics.prefix}streamgauge.agents",
        settle_ms=settings.agents.settle_ms,
        checkpoint_s=settings.agents.checkpoint_s,
        historical_after_s=settings.agents.historical_after_s,
        web_port=settings.agents.web_port or None,
        runbook=settings.agents.runbook,
        spikes=policy,
        policy=PolicyLimits(
            quiet_minutes=settings.agents.policy.quiet_hours * 60, least_calls=settings.agents.policy.least_calls
        ),
        reviews=ReviewPolicy(
            enabled=reviews.enabled,
            ratio=reviews.ratio,
            least_extra=_nano(reviews.usd_per_month),
            least_calls=reviews.least_calls,
            outcome_ratio=reviews.outcome_ratio,
            least_outcome_extra=_nano(reviews.outcome_usd_per_month),
            least_outcomes=reviews.least_outcomes,
        ),
    )


def check_config(settings: Settings) -> CheckConfig:
    from streamgauge.checking.config import CheckConfig

    check, key = settings.check, reveal(settings.enrich.user_key)
    return CheckConfig(
        host=check.host,
        port=check.port,
        unknown=check.unknown,
        stale_after_s=check.stale_after_s,
        stale=check.stale,
        silent_after_s=check.silent_after_s,
        personal=check.personal,
        token=reveal(check.password),
        user_key=None if key is None else key.encode(),
    )


def forward_config(settings: Settings) -> ForwardConfig:
    """SettingsError when nobody said where Alertmanager is, or what was said does not go together."""
    from urllib.parse import urlsplit

    from streamgauge.forwarding.config import ForwardConfig

    forward = settings.forward
    variable = variable_name(("forward", "url"))
    if forward.url is None:
        raise SettingsError(f"forward.url is not set: say where Alertmanager is, such as {variable}=http://HOST:9093")
    parts = urlsplit(forward.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise SettingsError(
            "forward.url must be http://HOST:PORT or https://HOST:PORT, without a login: that stands in "
            "forward.username and forward.password, or in forward.token"
        )
    if forward.ca_file is not None and parts.scheme != "https":
        raise SettingsError("forward.ca_file is given but forward.url is not https: change one of the two")
    if forward.token is not None and (forward.username is not None or forward.password is not None):
        raise SettingsError("forward.token and a login (forward.username) exclude each other: give one of them")
    if (forward.username is None) != (forward.password is None):
        raise SettingsError(
            f"forward.username and {variable_name(('forward', 'password'))} belong together: give both or neither"
        )
    if forward.keep_s < 3 * forward.repost_s:
        raise SettingsError(
            f"forward.keep_s is {forward.keep_s:g} and forward.repost_s {forward.repost_s:g}: alerts would be taken as "
            "resolved between two posts; make keep_s at least three times repost_s"
        )
    return ForwardConfig(
        group=f"{settings.topics.prefix}streamgauge.forward{f'.{forward.instance}' if forward.instance else ''}",
        url=forward.url.rstrip("/"),
        username=forward.username,
        password=reveal(forward.password),
        token=reveal(forward.token),
        ca_file=_trust_root("forward.ca_file", forward.ca_file),
        timeout_s=forward.timeout_s,
        repost_s=forward.repost_s,
        keep_s=forward.keep_s,
        send_info=forward.send_info,
        dashboard_url=forward.dashboard_url,
    )


def sink_config(settings: Settings) -> SinkConfig:
    from sinks.config import Retention, SinkConfig

    return SinkConfig(
        flush_s=settings.sink.flush_s,
        flush_rows=settings.sink.flush_rows,
        retention=Retention(**settings.clickhouse.retention.model_dump()),
        migrate=settings.sink.migrate,
        accept_gaps=settings.sink.accept_gaps,
        reread=settings.sink.reread,
        refuse_limit_rows=settings.sink.refuse_limit_rows,
        refuse_limit_share=settings.sink.refuse_limit_share,
        reject_limit_share=settings.sink.reject_limit_share,
        reject_limit_outcomes=settings.sink.reject_limit_outcomes,
    )


def clickhouse_target(settings: Settings, *, analyst: bool = False) -> ClickHouseTarget:
    """Where ClickHouse is, for the sink or (`analyst`) for reading alone."""
    from sinks.config import ClickHouseTarget, ClickHouseTls

    clickhouse = settings.clickhouse
    tls: ClickHouseTls | None = None
    if clickhouse.tls.enabled:
        tls = ClickHouseTls(
            ca_file=_trust_root("clickhouse.tls.ca_file", clickhouse.tls.ca_file),
            cert_file=_readable("clickhouse.tls.cert_file", clickhouse.tls.cert_file),
            key_file=_readable("clickhouse.tls.key_file", clickhouse.tls.key_file),
            verify=clickhouse.tls.verify,
        )
    elif clickhouse.tls.ca_file or clickhouse.tls.cert_file or clickhouse.tls.key_file:
        raise SettingsError(
            "clickhouse.tls has files but clickhouse.tls.enabled is false: set it to true, or take the files away"
        )
    return ClickHouseTarget(
        host=clickhouse.host,
        port=clickhouse.port or None,
        username=clickhouse.analyst_user if analyst else clickhouse.user,
        password=reveal(clickhouse.analyst_password if analyst else clickhouse.password) or "",
        database=clickhouse.database,
        tls=tls,
    )


def _nano(usd: Decimal) -> int:
    """Whole nano-dollars."""
    return int(usd * 1_000_000_000)


def reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _trust_root(name: str, path: Path | None) -> str | None:
    """The path as text. SettingsError also when it holds no certificate: clients say that in words of OpenSSL."""
    import ssl

    file = _readable(name, path)
    if file is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
        except ssl.SSLError as error:
            raise SettingsError(f"{name} is {file!r}, which holds no certificate in PEM form") from error
    return file


def _readable(name: str, path: Path | None) -> str | None:
    """The path as text. SettingsError when the file cannot be read: a client would only say that it failed."""
    if path is None:
        return None
    try:
        with path.open("rb"):
            return str(path)
    except OSError as error:
        raise SettingsError(f"{name} is {str(path)!r}, which cannot be read: {error.strerror}") from error
