"""Topics: names, sizes, retention, and that whatever is written is read by somebody."""

from __future__ import annotations

import pytest

from schemas.topics import DAY_MS, SPECS, Topics, TopicSpec

NAMES = [spec.name for spec in SPECS]


@pytest.mark.parametrize("spec", SPECS, ids=NAMES)
def test_every_topic_has_writers_readers_and_a_stated_retention(spec: TopicSpec) -> None:
    assert spec.writers
    assert spec.readers
    assert (spec.retention_ms is None) == spec.compacted, "retention in time, or compaction: one of the two"
    config = spec.config()
    assert config["cleanup.policy"] == ("compact" if spec.compacted else "delete")
    assert config["retention.ms"] == ("-1" if spec.compacted else str(spec.retention_ms))
    assert ("min.compaction.lag.ms" in config) == (spec.name == "governance.control")
    assert spec.purpose.endswith(".")


def test_a_spec_as_kafka_is_told() -> None:
    [events] = [spec for spec in SPECS if spec.name == "usage.events"]
    assert events.config() == {
        "cleanup.policy": "delete",
        "retention.ms": str(7 * DAY_MS),
        "max.message.bytes": "1048588",
        "message.timestamp.type": "LogAppendTime",
    }


def test_what_producers_write_carries_broker_time() -> None:
    """The dedupe horizon and the future limit are measured in it; a producer's clock proves nothing."""
    assert [spec.name for spec in SPECS if spec.append_time] == [
        spec.name for spec in SPECS if "producer" in spec.writers
    ]


def test_names_are_unique_and_accepted_by_kafka() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(name.replace(".", "").islower() and len(name) < 200 for name in NAMES)
    # Kafka's metrics fold `.` and `_` into one, so that two such names collide.
    assert not any("_" in name for name in NAMES)


def test_each_property_names_its_topic() -> None:
    topics = Topics(prefix="acme.")
    named = {name: getattr(topics, name) for name, member in vars(Topics).items() if isinstance(member, property)}
    assert sorted(named.values()) == sorted(f"acme.{name}" for name in NAMES)
    assert named["events"] == "acme.usage.events"
    assert named["status_users"] == "acme.governance.status.users"


def test_an_unknown_topic_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"usage\.nothing"):
        Topics().name("usage.nothing")


def test_partition_counts_follow_the_contract() -> None:
    topics = Topics(event_partitions=24, tally_partitions=8)
    counts = {spec.name: topics.partitions(spec) for spec in SPECS}
    assert counts["usage.events"] == counts["usage.enriched"] == counts["usage.fingerprints"] == 24
    assert counts["usage.tallies"] == counts["usage.state"] == 8
    assert counts["governance.control"] == 1, "control records of one apply keep their order"
    assert set(counts.values()) == {24, 8, 1}


def test_dedupe_log_outlives_the_events_it_must_recognise() -> None:
    retention = {spec.name: spec.retention_ms for spec in SPECS}
    assert retention["usage.fingerprints"] is not None
    assert retention["usage.fingerprints"] >= 2 * DAY_MS, "the longest dedupe horizon that settings accept is two days"


def test_only_enrich_and_the_sink_touch_raw_bytes() -> None:
    [rejected] = [spec for spec in SPECS if spec.name == "usage.rejected"]
    assert set(rejected.writers) == {"enrich", "sink"}
    assert "gateway" not in rejected.readers
