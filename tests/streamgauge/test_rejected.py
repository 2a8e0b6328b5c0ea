"""`rejected list|show|replay`: refused events are explained, and count once when they pass after a fix."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner, Result

from schemas.arrow_ipc import to_ipc
from schemas.rejections import RejectionCode, pack_raw
from schemas.usage import TIMESTAMP
from sinks.config import ClickHouseTarget
from sinks.corrections.rejected import Place, Refused
from sinks.database import Database
from sinks.records.outcomes import OutcomeReader
from sinks.records.record_rows import Record
from streamgauge.cli import app
from streamgauge.cli.rejected_options import place_at
from streamgauge.rejected.advice import ADVICE
from streamgauge.rejected.reading import readable
from streamgauge.rejected.replay import obstacle
from streamgauge.settings import load_settings
from tests.support.blocks import NOON_US, enriched_table
from tests.support.house import TestHouse, wait_for

NOW_US = int(datetime.now(UTC).timestamp()) * 1_000_000


def event(event_id: str, **more: Any) -> bytes:
    values = {
        "event_id": event_id,
        "source": "gateway-eu",
        "occurred_at": NOW_US,
        "model": "gpt-5",
        "provider": "openai",
        "input_tokens": 10,
        "output_tokens": 1,
        **more,
    }
    return json.dumps(values).encode()


class Face:
    """The command line against a running house."""

    def __init__(self, house: TestHouse) -> None:
        self.house = house

    def run(self, *words: str, code: int = 0, **environment: str) -> Result:
        result = CliRunner().invoke(app, ["rejected", *words], env=self.house.environment() | environment)
        assert result.exit_code == code, result.output
        return result

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code).stdout)

    def open(self) -> list[tuple[str, str | None]]:
        """Code and event id of what was refused and not sent again."""
        return sorted((one["code"], one["event_id"]) for one in self.json("list")["events"])


@pytest.fixture
def house(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TestHouse]:
    with TestHouse(kafka_bootstrap, tmp_path, topic_prefix, ("sink", "enrich"), (2, 1)) as house:
        yield house


def send(house: TestHouse, *values: bytes | None) -> None:
    producer = Producer(house.connection.librdkafka())
    for value in values:
        producer.produce(house.topics.events, value, partition=partition_of(value))
    assert producer.flush(30) == 0


def partition_of(value: bytes | None) -> int:
    """Where a producer that keys by event id sends it."""
    try:
        return zlib.crc32(json.loads(value or b"")["event_id"].encode()) % 2
    except (ValueError, KeyError, TypeError):
        return 0


def writer(house: TestHouse) -> Database:
    environment = house.environment()
    return Database.open(
        ClickHouseTarget(
            port=int(environment["STREAMGAUGE_CLICKHOUSE__PORT"]),
            username="writer",
            password=environment["STREAMGAUGE_CLICKHOUSE__PASSWORD"],
        )
    )


def refused_count(house: TestHouse) -> int:
    return int(house.query("SELECT count() FROM streamgauge.usage_rejected FINAL")[0][0])


def wait_for_refused(house: TestHouse, wanted: int) -> None:
    wait_for(lambda: refused_count(house) >= wanted, 60, f"{wanted} refused events")


def test_a_refused_event_counts_once_after_the_fix(house: TestHouse) -> None:
    face = Face(house)
    house.start()
    send(
        house,
        event("fine"),
        event("tagged", tags={"region": "eu"}),
        event("negative", input_tokens=-5),
        b"\x99\x01 what is this",
        None,
        event("fine", input_tokens=11),
        json.dumps({"events": [json.loads(event("plain")), json.loads(event("t2", tags={"region": "eu"}))]}).encode(),
    )
    wait_for_refused(house, 6)
    assert face.open() == [
        ("empty", None),
        ("id_conflict", "fine"),
        ("negative_count", "negative"),
        ("tag_not_allowed", "t2"),
        ("tag_not_allowed", "tagged"),
        ("unknown_framing", None),
    ]
    listed = face.run("list").output
    assert "enrich.tag_keys" in listed, "what to do stands under the list"
    groups = {group["code"]: group["events"] for group in face.json("list", "--source", "gateway-eu")["groups"]}
    assert groups == {"id_conflict": 1, "negative_count": 1, "tag_not_allowed": 2}

    place = {one["event_id"]: one["position"] for one in face.json("list", "--code", "tag_not_allowed")["events"]}
    shown = face.run("show", place["tagged"]).output
    assert '"region": "eu"' in shown
    assert "allow it with enrich.tag_keys" in shown
    conflict = next(one["position"] for one in face.json("list")["events"] if one["code"] == "id_conflict")
    assert "cannot help: its id belongs to another event" in face.run("show", conflict).output
    assert "not sent: its id belongs" in face.run("replay", conflict, code=1).output

    # Before the fix it is refused again, at its new position; the old one is done with.
    planned = face.json("replay", "--code", "tag_not_allowed", "--dry-run")
    assert len(planned["sent"]) == 2
    (went,) = face.json("replay", place["tagged"])["sent"]
    wait_for_refused(house, 7)
    (again,) = (o for o in face.json("list", "--code", "tag_not_allowed")["events"] if o["event_id"] == "tagged")
    assert again["position"].removesuffix(":0") == went["to"]

    house.roles["enrich"].stop()
    house._more["STREAMGAUGE_ENRICH__TAG_KEYS"] = "region"
    house.start("enrich")
    assert len(face.json("replay", "--code", "tag_not_allowed")["sent"]) == 2
    # Sent three times in all, and twice in a form that passes.
    assert len(face.json("replay", place["tagged"])["sent"]) == 1
    duplicates = "SELECT sum(duplicates) FROM streamgauge.usage_ledger FINAL"
    wait_for(lambda: house.query(duplicates)[0][0] == 1, 60, "the repeat to be recognised")
    rows = "SELECT event_id FROM streamgauge.usage_events_raw ORDER BY event_id"
    assert [row[0] for row in house.query(rows)] == ["fine", "plain", "t2", "tagged"]
    assert refused_count(house) == 7
    assert [code for code, _ in face.open()] == ["empty", "id_conflict", "negative_count", "unknown_framing"]

    row_refused_by_clickhouse(house, face)


def row_refused_by_clickhouse(house: TestHouse, face: Face) -> None:
    """Its row is inserted at its own position, once; nothing goes to Kafka."""
    table = enriched_table(1, partition=1, first=777, occurred_at=NOON_US, cost_nanousd=5)
    raw, sha256, size, cut = pack_raw(to_ipc(table))
    values = {
        "log": "the-log",
        "topic": house.topics.events,
        "partition": pa.array([1], pa.int32()),
        "offset": pa.array([777]),
        "index": pa.array([0], pa.int32()),
        "code": "refused_by_clickhouse",
        "message": "ClickHouse refuses the row with code 53",
        "source": "gateway",
        "event_id": "e1-777",
        "raw": raw,
        "raw_sha256": sha256,
        "raw_bytes": pa.array([size]),
        "raw_truncated": pa.array([cut]),
        # The TTL counts from here.
        "appended_at": pa.array([NOW_US], TIMESTAMP),
        "inserted_at": pa.array([NOW_US], TIMESTAMP),
    }
    with writer(house) as database:
        database.insert(
            "usage_rejected",
            pa.table({k: v if isinstance(v, pa.Array) else pa.array([v]) for k, v in values.items()}),
        )
    ended = refused_count(house)
    assert '"cost_nanousd": 5' in face.run("show", "1:777").output
    for _ in range(2):
        (sent,) = face.json("replay", "1:777:0")["sent"]
        assert sent["to"] == "usage_events_raw:1:777"
    rows = "SELECT log, src_offset, cost_nanousd FROM streamgauge.usage_events_raw WHERE event_id = 'e1-777'"
    assert [tuple(row) for row in house.query(rows)] == [("the-log", 777, 5)]
    notes = "SELECT to_topic, count() FROM streamgauge.rejected_replays FINAL WHERE log = 'the-log' GROUP BY ALL"
    assert [tuple(row) for row in house.query(notes)] == [("usage_events_raw", 1)]
    assert refused_count(house) == ended


def refused(code: str, raw: bytes, **more: Any) -> Refused:
    values: dict[str, Any] = {
        "log": "log",
        "place": Place("usage.events", 0, 7, 0),
        "code": code,
        "message": "why",
        "appended_at": datetime(2026, 3, 2, tzinfo=UTC),
        "source": None,
        "event_id": None,
        "raw": raw,
        "raw_bytes": len(raw),
        "raw_truncated": False,
        "replayed": None,
    }
    return Refused(**values | more)


def test_every_code_has_a_remedy() -> None:
    assert set(ADVICE) == set(get_args(RejectionCode)), "write what to do about a new rejection code"
    for code, advice in ADVICE.items():
        assert advice.remedy.endswith("."), code


def test_what_cannot_pass_is_not_sent() -> None:
    assert obstacle(refused("bad_json", b"{")) is None
    assert obstacle(refused("refused_by_clickhouse", b"x")) is None
    assert obstacle(refused("empty", b"")) == "the message is empty"
    cut = obstacle(refused("undecodable", b"ab", raw_bytes=3, raw_truncated=True))
    assert cut == "only 2 of its 3 bytes were kept: the sender must send it anew"
    assert "upgrade" in (obstacle(refused("of_next_year", b"x")) or "")


@pytest.mark.parametrize(
    ("raw", "code", "line"),
    [
        (b'{"a": 1}', "bad_value", '  "a": 1'),
        (b'{"a": ', "bad_json", '{"a": '),
        (b"", "empty", "(empty)"),
        (b"\x00\x00\x00\x00\x07abc", "unknown_schema", "0000  00 00 00 00 07 61 62 63"),
        (to_ipc(enriched_table(1)), "refused_by_clickhouse", '  "event_id": "e0-0",'),
    ],
)
def test_bytes_are_shown_as_far_as_they_can_be_read(raw: bytes, code: str, line: str) -> None:
    assert any(shown.startswith(line) for shown in readable(raw, code))


@pytest.mark.parametrize(
    "words", [["show", "nonsense"], ["replay"], ["list", "--code", "no_such"], ["list", "--topic", "x"]]
)
def test_mistakes_are_told(words: Sequence[str]) -> None:
    result = CliRunner().invoke(app, ["rejected", *words])
    assert result.exit_code == 2
    assert "Error" in result.output


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("3:1042", Place("usage.events", 3, 1042)),
        ("3:1042:7", Place("usage.events", 3, 1042, 7)),
        ("usage.events:3:1042", Place("usage.events", 3, 1042)),
        ("usage.outcomes:0:0:0", Place("usage.outcomes", 0, 0, 0)),
    ],
)
def test_positions_are_read(typed: str, place: Place) -> None:
    assert place_at(load_settings(environment={}, use_local=False), typed) == place


def test_an_outcome_is_refused_as_json_that_can_be_sent_again() -> None:
    reader = OutcomeReader("usage.outcomes", None)
    values = {
        "outcome_id": "o1",
        "source": "jira",
        "occurred_at": NOON_US,
        "team_id": "a",
        "use_case": "x",
        "kind": "ticket_resolved",
        "succeeded": True,
        "minutes_saved": -3.0,
    }
    (rejection,) = reader.read(0, [Record(4, None, json.dumps(values).encode(), NOON_US)]).rejections
    again = base64.b64decode(rejection.raw)
    assert json.loads(again).items() >= values.items()
    (same,) = reader.read(0, [Record(9, None, again, NOON_US)]).rejections
    assert (same.code, same.message, same.raw) == (rejection.code, rejection.message, rejection.raw)
