"""Replays onto a broker: everything arrives, the same ids every time, at the pace asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from runtime.clock import FixedClock
from runtime.connection import KafkaConnection
from sources.bulk import BulkProducer
from sources.errors import KafkaUnreachable, TopicMissing, TraceError
from sources.messages import partition_of
from sources.replay import ReplayConfig, replay
from sources.replay.azure_llm import read_azure_llm
from sources.replay.chunk import measure
from sources.replay.config import parse_teams
from sources.replay.pace import Pace
from sources.replay.rules import Rules
from tests.sources.support import PARTITIONS, make_topics, read_all, usage_of, usage_table

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:15:{second:02}.1234560,{100 + second},{second}\n" for second in range(60)
)


@pytest.fixture
def azure(tmp_path: Path) -> Path:
    path = tmp_path / "azure.csv"
    path.write_text(AZURE)
    return path


def test_a_trace_arrives_whole_with_a_summary(bootstrap: str, topic_prefix: str, azure: Path) -> None:
    topics = make_topics(bootstrap, topic_prefix)
    seen: list[tuple[int, int]] = []
    config = ReplayConfig(azure, "azure-llm", teams=("red", "blue"), model="claude-haiku-4-5", provider="anthropic")
    summary = replay(config, KafkaConnection(bootstrap), topics, lambda done, total: seen.append((done, total)))

    assert (summary.events, summary.delivered, summary.unreadable) == (60, 60, 0)
    assert (summary.input_tokens, summary.output_tokens) == (60 * 100 + 1_770, 1_770)
    assert summary.first_event == datetime(2023, 11, 16, 18, 15, 0, 123_456, UTC)
    assert summary.last_event == datetime(2023, 11, 16, 18, 15, 59, 123_456, UTC)
    assert seen[-1] == (60, 60)
    assert "does not know who" in summary.note

    messages = read_all(bootstrap, topics.events)
    decoded = usage_of(messages)
    rows = decoded.table.to_pylist()
    assert sum(row["input_tokens"] for row in rows) == summary.input_tokens
    assert {(row["model"], row["provider"]) for row in rows} == {("claude-haiku-4-5", "anthropic")}
    teams = [row["team_id"] for row in rows]
    assert dict(summary.events_by_team) == {team: teams.count(team) for team in ("red", "blue")}
    for place, row in zip(decoded.message.tolist(), rows, strict=True):
        assert messages[place].partition == partition_of(row["event_id"], PARTITIONS)


def test_replaying_again_sends_the_same_events(azure: Path) -> None:
    def table(config: ReplayConfig) -> list[dict[str, object]]:
        rules = Rules(config, measure(config.path).digest)
        rows: list[dict[str, object]] = [
            row for calls in read_azure_llm(config.path) for row in rules.table(calls).to_pylist()
        ]
        return rows

    first = table(ReplayConfig(azure, "azure-llm", seed=3))
    assert table(ReplayConfig(azure, "azure-llm", seed=3, speed=9.0, batch=7)) == first
    ids = {row["event_id"] for row in first}
    assert len(ids) == 60
    for other in (ReplayConfig(azure, "azure-llm", seed=4), ReplayConfig(azure, "azure-llm", seed=3, model="o3")):
        assert ids.isdisjoint(row["event_id"] for row in table(other))


def test_bad_json_lines_are_sent_too(tansu_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    topics = make_topics(tansu_bootstrap, topic_prefix)
    path = tmp_path / "events.jsonl"
    path.write_text(
        '{"event_id": "a", "source": "s", "occurred_at": "2026-01-02T03:04:05Z", "model": "m", '
        '"input_tokens": 5, "output_tokens": 2, "team_id": "t"}\n'
        "{broken\n"
    )
    summary = replay(ReplayConfig(path, "events-jsonl"), KafkaConnection(tansu_bootstrap), topics)
    assert (summary.events, summary.delivered, summary.unreadable) == (2, 2, 1)
    assert (summary.input_tokens, summary.output_tokens, summary.events_by_team) == (5, 2, (("t", 1),))
    decoded = usage_of(read_all(tansu_bootstrap, topics.events))
    assert decoded.table.column("event_id").to_pylist() == ["a"]
    assert [failure.code for failure in decoded.failures] == ["bad_json"]


def test_a_replay_keeps_the_pace(tansu_bootstrap: str, topic_prefix: str, azure: Path) -> None:
    topics = make_topics(tansu_bootstrap, topic_prefix)
    clock, waits = FixedClock(), list[float]()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(round(seconds * 1e6))

    config = ReplayConfig(azure, "azure-llm", speed=10.0)
    summary = replay(config, KafkaConnection(tansu_bootstrap), topics, clock=clock, sleeper=sleep)
    # 59 seconds of trace at ten times its pace, one call a second.
    assert summary.wall_s == pytest.approx(5.9, abs=0.06)
    assert len(waits) == 59
    assert usage_table(tansu_bootstrap, topics.events).num_rows == 60


def test_pace_yields_every_event_once_and_in_order() -> None:
    clock = FixedClock()
    pace = Pace(2.0, clock, lambda seconds: clock.advance(round(seconds * 1e6) + 1))
    times = np.array([0, 10_000_000, 5_000_000, 10_000_000, 20_000_000]) + 1_700_000_000_000_000
    sent = []
    for part in pace.slices(times):
        sent += [(place, round(clock.monotonic(), 1)) for place in range(part.start, part.stop)]
    assert sent == [(0, 0.0), (1, 5.0), (2, 5.0), (3, 5.0), (4, 10.0)]


def test_a_bad_trace_stops_with_its_line(tansu_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    topics = make_topics(tansu_bootstrap, topic_prefix)
    path = tmp_path / "azure.csv"
    path.write_text(AZURE + "oops\n")
    with pytest.raises(TraceError, match="line 62"):
        replay(ReplayConfig(path, "azure-llm"), KafkaConnection(tansu_bootstrap), topics)


def test_kafka_errors_say_what_to_do(kafka_bootstrap: str, topic_prefix: str) -> None:
    topics = make_topics(kafka_bootstrap, topic_prefix)

    with pytest.raises(TopicMissing, match="create the topics with `streamgauge topics`"):
        BulkProducer(KafkaConnection(kafka_bootstrap), f"{topics.events}.other")
    with pytest.raises(KafkaUnreachable, match=r"no Kafka broker at 127\.0\.0\.1:1 answered within 0\.5 s"):
        BulkProducer(KafkaConnection("127.0.0.1:1"), topics.events, metadata_timeout_s=0.5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"speed": 0.0}, "not a positive factor"),
        ({"speed": float("nan")}, "not a positive factor"),
        ({"teams": ("a", "")}, "empty name"),
        ({"teams": ("a", "a")}, "one team twice"),
        ({"start": datetime(2024, 1, 1)}, "no time zone"),  # noqa: DTZ001
        ({"batch": 0}, "not at least 1"),
        ({"format": "events-jsonl", "model": "o3"}, "carry their own"),
    ],
)
def test_a_wrong_configuration_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ReplayConfig(**{"path": Path("x"), "format": "azure-llm", **changes})  # type: ignore[arg-type]


def test_teams_are_names_or_a_count() -> None:
    assert parse_teams("a, b,c") == ("a", "b", "c")
    assert parse_teams("3") == ("team-1", "team-2", "team-3")
    with pytest.raises(ValueError, match="not between"):
        parse_teams("0")
