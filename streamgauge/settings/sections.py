"""In: nothing. Out: every setting, by section: its type, its default, what it means; those of the agents stand beside.
`docs/settings.md` is made from this.

Secrets are `SecretStr`: they are accepted from the environment alone and never printed.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from streamgauge.settings.section import Names, NonEmpty, Port, Section


def _servers(value: str) -> str:
    for server in value.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) <= 65_535:
            raise ValueError(f"{server.strip()!r} is not HOST:PORT, such as kafka-1:9092")
    return value


class KafkaTlsSettings(Section):
    enabled: bool = Field(False, description="Speak TLS to the brokers.")
    ca_file: Path | None = Field(None, description="PEM file of the trust root; none: the system's roots.")
    cert_file: Path | None = Field(None, description="PEM file of our own certificate, for mutual TLS.")
    key_file: Path | None = Field(None, description="PEM file of the certificate's private key.")
    key_password: SecretStr | None = Field(None, description="Password of the private key.")
    verify_hostname: bool = Field(True, description="Check that the broker's certificate names its host.")


class SaslSettings(Section):
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="How to log in; none: no login."
    )
    username: str | None = Field(None, description="Login name.")
    password: SecretStr | None = Field(None, description="Password of the login.")


class KafkaSettings(Section):
    bootstrap: Annotated[NonEmpty, AfterValidator(_servers)] = Field(
        "127.0.0.1:9092", description="`HOST:PORT` of one or more brokers, joined by commas."
    )
    client_id: NonEmpty = Field("streamgauge", description="What we call ourselves towards the brokers.")
    session_timeout_ms: int = Field(
        45_000,
        ge=1_000,
        le=300_000,
        description="Without a sign of life for this long a worker loses its partitions; five minutes at most.",
    )
    fetch_wait_ms: int = Field(
        500, ge=1, le=60_000, description="How long a broker may hold an empty fetch: less is quicker, more is cheaper."
    )
    tls: KafkaTlsSettings = Field(KafkaTlsSettings(), description="TLS towards Kafka.")
    sasl: SaslSettings = Field(SaslSettings(), description="Login towards Kafka.")


class TopicSettings(Section):
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,100}$")] = Field(
        "", description="Stands before every topic and group name; one prefix and one database per legal entity."
    )
    event_partitions: int = Field(
        12,
        ge=1,
        le=10_000,
        description="Partitions of usage.events, enriched, outcomes and fingerprints. May grow later.",
    )
    tally_partitions: int = Field(
        16, ge=1, le=10_000, description="Partitions of usage.tallies and usage.state. Fixed once the topics exist."
    )
    replication: int = Field(
        -1, ge=-1, le=100, description="Copies of each partition at creation; -1: the broker's own default."
    )


class ClickHouseTlsSettings(Section):
    enabled: bool = Field(False, description="Speak HTTPS to ClickHouse.")
    ca_file: Path | None = Field(None, description="PEM file of the trust root; none: the system's roots.")
    cert_file: Path | None = Field(None, description="PEM file of our own certificate, for mutual TLS.")
    key_file: Path | None = Field(None, description="PEM file of the certificate's private key.")
    verify: bool = Field(True, description="Check ClickHouse's certificate.")


class RetentionSettings(Section):
    """Days that rows are kept in ClickHouse; 0 keeps them for ever."""

    events_days: int = Field(730, ge=0, le=36_500, description="Days that usage events are kept; 0: for ever.")
    ledger_days: int = Field(730, ge=0, le=36_500, description="Days that the ledger of batches is kept; 0: for ever.")
    rejected_days: int = Field(
        30, ge=0, le=36_500, description="Days that rejected events are kept, with their raw bytes."
    )
    outcomes_days: int = Field(1_825, ge=0, le=36_500, description="Days that outcomes are kept; 0: for ever.")
    alerts_days: int = Field(1_825, ge=0, le=36_500, description="Days that alerts are kept; 0: for ever.")
    status_days: int = Field(1_825, ge=0, le=36_500, description="Days that budget statuses are kept; 0: for ever.")


class ClickHouseSettings(Section):
    host: NonEmpty = Field("127.0.0.1", description="Host of ClickHouse's HTTP interface.")
    port: Port = Field(0, description="Its port; 0: ClickHouse's own, 8443 with TLS and 8123 without.")
    database: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = Field(
        "streamgauge", description="Database that holds the tables; made by the first migration."
    )
    user: NonEmpty = Field("default", description="User of the sink: creates tables and inserts.")
    password: SecretStr | None = Field(None, description="Password of the sink's user.")
    analyst_user: NonEmpty = Field("default", description="User of `streamgauge query`: needs SELECT alone.")
    analyst_password: SecretStr | None = Field(None, description="Password of the analysts' user.")
    tls: ClickHouseTlsSettings = Field(ClickHouseTlsSettings(), description="TLS towards ClickHouse.")
    retention: RetentionSettings = Field(RetentionSettings(), description="How long rows are kept.")


class RegistrySettings(Section):
    url: str | None = Field(
        None,
        description="`http://HOST:PORT` of a Confluent-compatible schema registry; none: Avro single-object framing.",
    )
    username: str | None = Field(None, description="Login name for the registry.")
    password: SecretStr | None = Field(None, description="Password for the registry.")
    ca_file: Path | None = Field(None, description="PEM file of the trust root for an https registry.")


class EnrichSettings(Section):
    user_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Keys the hash that stands for a user id; at least 16 characters. "
        "Needed by `enrich`, and by `apply` for members.",
    )
    batch_messages: int = Field(20_000, ge=1, le=1_000_000, description="Messages in one batch at most.")
    poll_ms: int = Field(100, ge=1, le=10_000, description="Longest wait for a batch to fill.")
    lateness_s: int = Field(
        120, ge=0, le=86_400, description="An event that far behind its partition's newest is late."
    )
    dedupe_horizon_s: int = Field(86_400, ge=60, le=172_800, description="How far back a resend is recognised.")
    dedupe_max_ids: int = Field(
        10_000_000, ge=1_000, description="Event ids remembered per partition at most; 16 bytes each."
    )
    accept_missing_window: bool = Field(
        False,
        description="Go on with an empty dedupe window where it cannot be rebuilt: resends may count twice. For one "
        "start.",
    )
    reject_limit_share: float = Field(
        0.5, ge=0, le=1, description="Stop when this share of events is refused by what looks our own fault; 0: never."
    )
    reject_limit_events: int = Field(10_000, ge=1, description="Events that the share is taken of, at least.")
    reject_limit_run: int = Field(
        5_000, ge=0, description="The same for so many refused events since one last passed; 0: never."
    )
    tag_keys: Names = Field(
        (), description="Keys that `tags` may have, joined by commas; an event with another is rejected."
    )
    provisional_input_usd_per_mtok: Decimal = Field(
        Decimal(10), ge=0, description="What an unpriced model's input is held to cost against USD budgets."
    )
    provisional_output_usd_per_mtok: Decimal = Field(
        Decimal(40), ge=0, description="What an unpriced model's output is held to cost against USD budgets."
    )


class SinkSettings(Section):
    flush_s: float = Field(1.0, gt=0, le=60, description="Longest that a block waits for its insert.")
    flush_rows: int = Field(200_000, ge=1, description="Rows that make an insert early.")
    migrate: bool = Field(True, description="Apply migrations at start; off where somebody with more rights does.")
    accept_gaps: bool = Field(False, description="Go on behind what Kafka no longer holds; for one start.")
    reread: bool = Field(
        False,
        description="Read `usage.enriched` from its start where the ledger's place is behind its end; for one start.",
    )
    refuse_limit_rows: int = Field(
        100, ge=0, description="Rows that ClickHouse may refuse in one insert, or in a row, before the sink stops."
    )
    refuse_limit_share: float = Field(
        0.05, ge=0, le=1, description="Share of the newest 10,000 rows that ClickHouse may refuse above that number."
    )
    reject_limit_share: float = Field(
        0.5, ge=0, le=1, description="Stop when this share of outcomes fails for its schema; 0: never."
    )
    reject_limit_outcomes: int = Field(10_000, ge=1, description="Outcomes that the share is taken of, at least.")


class CheckSettings(Section):
    host: NonEmpty = Field("127.0.0.1", description="Address on which `streamgauge check serve` answers gateways.")
    port: Port = Field(8450, description="Its port; 0: any free one, told in the log.")
    unknown: Literal["warn", "stop"] = Field(
        "warn", description="What an enforced budget asks for while its state is unknown."
    )
    stale_after_s: float = Field(
        10.0, gt=0, description="What was read longer ago than this is stale, and answers say so."
    )
    stale: Literal["allow", "warn", "stop"] = Field(
        "warn", description="What stale knowledge asks for besides what it says; allow and warn fail open."
    )
    silent_after_s: float = Field(
        0.0, ge=0, description="Stale also when no status at all has come for so long; 0: however long."
    )
    personal: bool = Field(True, description="Read the status of budgets about one person, where Kafka lets us.")
    password: SecretStr | None = Field(
        None, description="What gateways bring as `Authorization: Bearer …`; none: all who reach the port are answered."
    )


class ForwardSettings(Section):
    url: str | None = Field(
        None,
        description="`http(s)://HOST:PORT` of Alertmanager, with its path prefix where it has one. "
        "Needed by `streamgauge forward`.",
    )
    username: str | None = Field(None, description="Login name for Alertmanager (basic authentication).")
    password: SecretStr | None = Field(None, description="Password for Alertmanager.")
    token: SecretStr | None = Field(None, description="Sent as `Authorization: Bearer …` instead of a login.")
    ca_file: Path | None = Field(None, description="PEM file of the trust root for an https Alertmanager.")
    timeout_s: float = Field(10.0, gt=0, le=120, description="Longest wait for Alertmanager's answer.")
    repost_s: float = Field(
        60.0, ge=1, le=3_600, description="Open alerts are posted again this often: Alertmanager keeps none on disk."
    )
    keep_s: float = Field(
        3_600.0,
        ge=5,
        le=86_400,
        description="Without a word from us Alertmanager takes an alert as resolved after so long; "
        "at least three times `repost_s`.",
    )
    send_info: bool = Field(False, description="Forward alerts of severity info as well.")
    dashboard_url: str | None = Field(
        None, description="Where an alert's source link leads that has no dashboard of its own; none: no link."
    )
    instance: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,40}$")] = Field(
        "", description="Name of this forwarder where several run, one for each Alertmanager of a cluster."
    )


class LogSettings(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severity that is logged.")
    form: Literal["json", "text"] = Field("json", description="One JSON object a line, or text for people.")


class HttpSettings(Section):
    host: NonEmpty = Field("127.0.0.1", description="Address on which a role serves /live, /ready and /metrics.")
    port: Port = Field(0, description="Its port; 0: none.")
    stall_s: float = Field(120.0, gt=1, description="Without progress for this long /live answers 503.")


class SigningSettings(Section):
    key_file: Path | None = Field(
        None, description="OpenSSH Ed25519 private key with which `exceptions` and `budgets ack` sign decisions."
    )
    key_password: SecretStr | None = Field(None, description="Passphrase of that key; asked for where not given.")


class LocalSettings(Section):
    data_dir: Path = Field(
        Path(".streamgauge"),
        description="Where `streamgauge up` keeps ClickHouse's data, its logs and the local user key.",
    )
    kafka_port: Port = Field(9092, description="Port of the embedded broker; 0: any free one.")
    http_port: Port = Field(8123, description="Port of the embedded ClickHouse; 0: any free one.")
