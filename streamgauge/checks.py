"""In: settings. Out: one finding per thing that must be in place: Kafka, topics, workers and their offsets, registry,
ClickHouse, migrations, tables; and what to do if not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from confluent_kafka import KafkaException

from runtime.admin import PartitionMismatch, inspect_topics
from streamgauge import checks_running
from streamgauge.asking import ClickHouseUnreachable, open_database
from streamgauge.findings import Finding
from streamgauge.reach import KafkaUnreachable, reach_kafka
from streamgauge.registry import Registry, RegistryAccess, RegistryError, subjects_of
from streamgauge.settings import Settings, SettingsError
from streamgauge.settings.convert import clickhouse_target, kafka_connection, reveal, topic_names


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, in the order in which things depend on each other. Raises nothing that a person could mend."""
    kafka = _guarded("Kafka", lambda: _kafka(settings))
    yield kafka
    topics = Finding("topics", "skipped", "Kafka does not answer")
    if kafka.state == "ok":
        topics = _guarded("topics", lambda: _topics(settings))
    yield topics
    there = topics.state in ("ok", "warning")
    if there:
        yield _guarded("workers", lambda: checks_running.workers(settings))
        yield from _all_guarded("offsets", lambda: checks_running.offsets(settings))
    yield _guarded("schema registry", lambda: _registry(settings))
    clickhouse = _guarded("ClickHouse", lambda: _clickhouse(settings))
    yield clickhouse
    if clickhouse.state == "ok":
        migrations = _guarded("migrations", lambda: _migrations(settings))
        yield migrations
        if there and migrations.state == "ok":
            yield _guarded("tables", lambda: checks_running.tables(settings))
    else:
        yield Finding("migrations", "skipped", "ClickHouse does not answer")
    yield _user_key(settings)


def _guarded(check: str, examine_one: Callable[[], Finding]) -> Finding:
    return _all_guarded(check, lambda: [examine_one()])[0]


def _all_guarded(check: str, examine_some: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return examine_some()
    except (KafkaUnreachable, ClickHouseUnreachable, RegistryError, SettingsError) as error:
        found, _, advice = str(error).partition(": ")
        return [Finding(check, "failed", found, advice)]
    except PartitionMismatch as error:
        what = "partition counts differ from the settings"
        return [Finding(check, "failed", what, str(error).partition("\n")[2].strip())]
    except KafkaException as error:
        return [Finding(check, "warning", f"Kafka does not tell: {error.args[0].str()}")]


def _kafka(settings: Settings) -> Finding:
    connection = kafka_connection(settings)
    cluster = reach_kafka(connection)
    return Finding("Kafka", "ok", f"{connection.bootstrap} over {connection.security_protocol}, cluster {cluster}")


def _topics(settings: Settings) -> Finding:
    connection, topics = kafka_connection(settings), topic_names(settings)
    states = inspect_topics(connection, topics)
    missing = [state.name for state in states if state.action == "missing"]
    if missing:
        return Finding("topics", "failed", f"missing: {', '.join(missing)}", "create them with `streamgauge topics`")
    drift = [one for state in states for one in state.drift]
    if drift:
        told = "; ".join(f"{one.topic} {one.setting} is {one.found}, should be {one.wanted}" for one in drift)
        return Finding("topics", "warning", told, "`streamgauge topics --check` prints the commands that change it")
    counts = f"{topics.event_partitions} event and {topics.tally_partitions} tally partitions"
    return Finding("topics", "ok", f"all {len(states)} are there, with {counts}")


def _registry(settings: Settings) -> Finding:
    registry = settings.registry
    if registry.url is None:
        return Finding("schema registry", "skipped", "none is configured (registry.url)")
    ca_file = str(registry.ca_file) if registry.ca_file else None
    client = Registry(RegistryAccess(registry.url, registry.username, reveal(registry.password), ca_file))
    behind = [
        subject.name
        for subject in (client.subject(*one) for one in subjects_of(topic_names(settings)))
        if subject.state != "current"
    ]
    if behind:
        return Finding(
            "schema registry",
            "failed",
            f"{registry.url} does not hold our current schema under {', '.join(behind)}",
            "register it with `streamgauge schemas register`",
        )
    return Finding("schema registry", "ok", f"{registry.url} holds our current schemas")


def _clickhouse(settings: Settings) -> Finding:
    target = clickhouse_target(settings, analyst=True)
    with open_database(target) as database:
        [(version,)] = database.query("SELECT version()")
    over = "HTTPS" if target.tls else "HTTP"
    return Finding("ClickHouse", "ok", f"{target.host} over {over}, version {version}, database {target.database}")


def _migrations(settings: Settings) -> Finding:
    from sinks.migrate import known_migrations, pending

    with open_database(clickhouse_target(settings, analyst=True)) as database:
        missing = pending(database)
    if missing:
        names = ", ".join(f"{one.version:03}_{one.name}" for one in missing)
        return Finding("migrations", "failed", f"not applied: {names}", "`streamgauge sink` applies them at its start")
    return Finding("migrations", "ok", f"all {len(known_migrations())} are applied")


def _user_key(settings: Settings) -> Finding:
    if settings.enrich.user_key is None:
        return Finding(
            "user key",
            "warning",
            "STREAMGAUGE_ENRICH__USER_KEY is not set here",
            "`enrich` needs it, and `apply` for members: one value for both, for ever (`openssl rand -hex 32`)",
        )
    return Finding("user key", "ok", "set")
