"""What a reader would paste works: SQL on the analysts' tables, documents against their contract, the subscriber."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition
from genai_prices import Usage, calc_price
from jsonschema import Draft202012Validator

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.alerts import Alert, alert_id
from schemas.control.budgets import Budget
from schemas.control.records import parse_record
from schemas.decoding import Decoder
from schemas.topics import Topics
from sinks.database import Database, split_statements
from streamgauge.embedded.broker import EmbeddedBroker
from tests.cluster.database import sample_database
from tests.docs.pages import ROOT, page
from tests.docs.tables import block

TOPICS: Final = Topics(event_partitions=4, tally_partitions=4)

QUESTIONS = [statement for body in page("docs/analysts.md").blocks("sql") for statement in split_statements(body)]
#: Questions whose best answer is no row: a hole in the ledger, calls without an outcome in the sample.
MAY_BE_EMPTY = ("lagInFrame", "outcomes.reference")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with sample_database(tmp_path_factory.mktemp("examples")) as opened:
        yield opened


@pytest.mark.parametrize("question", QUESTIONS, ids=[str(number) for number in range(len(QUESTIONS))])
def test_questions_are_answered(database: Database, question: str) -> None:
    rows = database.query(question)
    if not any(mark in question for mark in MAY_BE_EMPTY):
        assert rows, f"the sample company has an answer to this: {question}"


def test_the_ledger_question_finds_a_hole(database: Database) -> None:
    """On the sample's own chain (0-10, 20-30, … of partition 0) every second stretch is missing."""
    [question] = [one for one in QUESTIONS if "lagInFrame" in one]
    assert database.query(question)[0][:4] == ("log", 0, 10, 20)


def test_tables_are_those_of_the_database(database: Database) -> None:
    listed = re.findall(r"^\| `(\w+)` \|", block(page("docs/analysts.md"), "tables")[2], re.MULTILINE)
    found = [name for (name,) in database.query("SELECT name FROM system.tables WHERE database = currentDatabase()")]
    assert sorted(listed) == sorted(found)


def test_the_alert_in_the_page_is_one() -> None:
    [text, *_] = page("docs/alerts.md").blocks("json")
    alert = Alert.model_validate_json(text)
    assert set(json.loads(text)) == set(Alert.model_fields), "the example shows every field"
    assert alert.pages
    assert alert.alert_id == alert_id("budget", "search-month", 1_767_225_600_000_000, "hard")


def test_each_kind_that_governs_has_an_example() -> None:
    _, *texts = page("docs/alerts.md").blocks("json")
    alerts = [Alert.model_validate_json(text) for text in texts]
    assert [alert.kind for alert in alerts] == ["forecast", "exception", "policy"]
    for alert, text in zip(alerts, texts, strict=True):
        validator = Draft202012Validator(json.loads((ROOT / "schemas/json/alert.schema.json").read_text()))
        validator.validate(json.loads(text))
        assert not alert.pages
        told = json.loads(text)
        assert told == _only(told, alert.model_dump(mode="json")), "no field of the example is one of its own"


def _only(named: Any, whole: Any) -> Any:
    """Of a whole document what an example of it names."""
    if isinstance(named, dict):
        return {name: _only(value, whole[name]) for name, value in named.items()}
    if isinstance(named, list):
        return [_only(one, other) for one, other in zip(named, whole, strict=True)]
    return whole


def run(code: str, where: str) -> dict[str, Any]:
    """Run a page's Python block; returns its names."""
    namespace: dict[str, Any] = {}
    exec(compile(code, where, "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """A broker of this module's own, with the topics under their plain names, as the pages have them."""
    with EmbeddedBroker(cluster_id="streamgauge-docs") as broker:
        create_topics(KafkaConnection(broker.bootstrap), TOPICS, replication=1)
        yield broker.bootstrap


def test_the_subscriber_wakes_somebody_once(bootstrap: str) -> None:
    """Of a historical, a firing, an updated and a resolved alert, one pages."""
    [text, *_] = page("docs/alerts.md").blocks("json")
    [code] = page("docs/alerts.md").blocks("python")
    alert = json.loads(text)
    producer = Producer({"bootstrap.servers": bootstrap})
    history = {**alert, "historical": True, "alert_id": "old"}
    last = {**alert, "alert_id": "last"}
    for one in (history, alert, {**alert, "state": "updated"}, {**alert, "state": "resolved"}, last):
        producer.produce(TOPICS.alerts, json.dumps(one).encode(), key=one["alert_id"])
    assert producer.flush(15) == 0

    paged = run(code, "docs/alerts.md")["pages"](bootstrap)
    assert [next(paged)["alert_id"], next(paged)["alert_id"]] == [alert["alert_id"], "last"]
    paged.close()


README = page("README.md")


@pytest.mark.parametrize("number", range(2), ids=["plain client", "reporter"])
def test_the_readmes_producers_send_good_events(bootstrap: str, number: int) -> None:
    code = README.blocks("python")[number]
    assert "localhost:9092" in code
    before = _ends(bootstrap)
    run(code.replace("localhost:9092", bootstrap), "README.md")
    [(partition, value)] = _since(bootstrap, before)
    assert_good(value, partition)


def test_the_readmes_shell_line_is_a_good_event() -> None:
    [line] = [one for body in README.blocks("bash") for one in body.splitlines() if one.startswith("echo ")]
    value, target = re.fullmatch(r"echo '(.+)' \| kcat (.+)", line).groups()  # type: ignore[union-attr]
    event = assert_good(value.encode())
    assert f"-t {TOPICS.events} -k {event['event_id']}" in target


def assert_good(value: bytes, partition: int | None = None) -> dict[str, Any]:
    """One event that decodes, with every field known, and on the partition of its id."""
    decoded = Decoder("usage_event").decode([value])
    assert decoded.failures == []
    assert decoded.unknown_fields == 0
    [row] = decoded.table.to_pylist()
    assert partition in (None, zlib.crc32(row["event_id"].encode()) % TOPICS.event_partitions)
    # A first event should have a price: LookupError when the model is not known.
    assert (
        calc_price(
            Usage(input_tokens=row["input_tokens"], output_tokens=row["output_tokens"]), row["model"]
        ).total_price
        > 0
    )
    return dict(row)


def _ends(bootstrap: str) -> list[int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "docs.unused"})
    places = [TopicPartition(TOPICS.events, number) for number in range(TOPICS.event_partitions)]
    ends = [consumer.get_watermark_offsets(place, timeout=15)[1] for place in places]
    consumer.close()
    return ends


def _since(bootstrap: str, ends: list[int]) -> list[tuple[int, bytes]]:
    """(partition, value) of everything after `ends`."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "docs.unused"})
    now = _ends(bootstrap)
    consumer.assign([TopicPartition(TOPICS.events, number, end) for number, end in enumerate(ends)])
    found: list[tuple[int, bytes]] = []
    deadline = time.monotonic() + 15
    while len(found) < sum(now) - sum(ends):
        assert time.monotonic() < deadline, "what was produced does not come back"
        for message in consumer.consume(10, 0.5):
            partition, value = message.partition(), message.value()
            assert message.error() is None
            assert partition is not None
            assert value is not None
            found.append((partition, value))
    consumer.close()
    return found


def test_the_readmes_question_is_answered(database: Database) -> None:
    questions = [sql for body in README.blocks("bash") for sql in re.findall(r'streamgauge query "(.+)"', body)]
    assert questions
    assert all(database.query(question) for question in questions)


def test_the_readmes_budget_is_one() -> None:
    [text] = README.blocks("yaml")
    document = parse_record(json.dumps(yaml.safe_load(text)))
    assert isinstance(document, Budget)


def test_the_readmes_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for body in README.blocks("bash") for word in re.findall(r"^make (\w+)", body, re.MULTILINE)}
    assert named >= {"demo", "test"}
    assert named <= targets


def test_the_readme_is_short() -> None:
    assert len(README.text.splitlines()) <= 200
