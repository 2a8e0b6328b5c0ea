"""`streamgauge alerts …` as a person types it, on a broker."""

from __future__ import annotations

import json
import threading

import pytest
from typer.testing import CliRunner

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.topics import Topics
from streamgauge.cli import app
from streamgauge.exceptions.publishing import read_control
from tests.streamgauge.alerts.samples import of_kind, resolved, spike, tell
from tests.streamgauge.brokers import topics_bootstrap
from tests.streamgauge.forwarding.running import eventually

ONE, TWO = spike(1).alert_id, spike(2).alert_id


@pytest.fixture
def house(topics: Topics) -> KafkaConnection:
    connection = KafkaConnection(topics_bootstrap(), fetch_wait_ms=50)
    create_topics(connection, topics, 1)
    tell(connection, topics.alerts, [spike(1), spike(2, severity="warning"), resolved(2), of_kind("budget")])
    return connection


def said(run: CliRunner, *words: str) -> str:
    done = run.invoke(app, ["alerts", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_alerts_are_filtered_and_shown_whole(run: CliRunner, house: KafkaConnection) -> None:
    del house
    assert TWO[:14] not in said(run, "--open")
    assert said(run, "--kind", "budget").count("search / answers") == 1
    assert ONE[:14] not in said(run, "--severity", "warning")
    assert "No open alerts." in said(run, "--severity", "warning", "--open")
    assert max(len(line) for line in said(run).splitlines()) <= 100
    wrong = run.invoke(app, ["alerts", "--kind", "spikes"])
    assert wrong.exit_code == 2
    assert "Runaway loop: search / answers" in said(run, "show", ONE[:12])
    assert said(run, "show", ONE, "--markdown").startswith("# Runaway loop")
    whole = json.loads(said(run, "show", ONE, "--json"))
    assert (whole["open"], len(whole["states"]), whole["feedback"]) == (True, 1, None)
    unknown = run.invoke(app, ["alerts", "show", "spike-zzz"])
    assert unknown.exit_code == 1
    assert "there is no alert 'spike-zzz'; the nearest are" in unknown.stderr


def test_what_people_say_is_recorded_and_taken_back(run: CliRunner, topics: Topics, house: KafkaConnection) -> None:
    told = said(run, "ack", ONE[:12], "--by", "ada", "--note", "on it")
    assert told == (
        f"{ONE}: acknowledged by ada: it goes on, is told once more as acknowledged, and then only when it is over.\n"
    )
    kept = read_control(house, topics).feedback[ONE]
    assert (kept.said, kept.by, kept.note) == ("acknowledged", "ada", "on it")
    told = said(run, "noise", ONE, "--by", "bob")
    assert "noise by bob, instead of acknowledged by ada: it is resolved at once" in told
    assert "it is over already; your word is kept" in said(run, "expected", TWO, "--by", "bob", "--wait")
    assert "goes on until its own rule ends it" in said(run, "ack", "budget", "--by", "bob")
    rows = json.loads(said(run, "precision", "--by", "kind", "--json"))
    assert [(row["kind"], row["told"], row["noise"], row["expected"], row["precision"]) for row in rows] == [
        ("budget", 1, 0, 0, 1.0),
        ("spike", 2, 1, 1, 0.5),
    ]
    assert "50%" in said(run, "precision", "--by", "kind", "--by", "team")
    assert "noise by bob is taken back" in said(run, "ack", ONE, "--clear")
    assert set(read_control(house, topics).feedback) == {TWO, of_kind("budget").alert_id}
    again = run.invoke(app, ["alerts", "ack", ONE, "--clear"])
    assert again.exit_code == 1
    assert "there is nothing to take back" in again.stderr


def test_the_agents_answer_is_waited_for(run: CliRunner, topics: Topics, house: KafkaConnection) -> None:
    """Here the test answers, once the word is on the control log, as agents do."""

    def agents() -> None:
        eventually(lambda: ONE in read_control(house, topics).feedback, "the word")
        tell(house, topics.alerts, [spike(2, 7, said="expected"), spike(1, 1), resolved(1, 2, said="expected")])

    thread = threading.Thread(target=agents, daemon=True)
    thread.start()
    told = json.loads(said(run, "expected", ONE, "--by", "ada", "--wait", "--json"))
    thread.join(timeout=30)
    assert (told["answer"]["state"], told["answer"]["revision"]) == ("resolved", 2)


def test_the_same_word_again_is_no_news_to_wait_for(run: CliRunner, topics: Topics, house: KafkaConnection) -> None:
    said(run, "ack", ONE, "--by", "ada")
    tell(house, topics.alerts, [spike(1, 1, said="acknowledged")])
    told = said(run, "ack", ONE, "--by", "bob", "--note", "mine now", "--wait")
    assert "that is told already" in told
    assert read_control(house, topics).feedback[ONE].note == "mine now"
    assert "from its next state on" in said(run, "ack", ONE, "--clear")
    assert "is told once more as acknowledged" in said(run, "ack", ONE, "--by", "ada"), "that was taken back"


def test_options_before_a_command_are_no_mistake_in_silence(run: CliRunner, house: KafkaConnection) -> None:
    del house
    wrong = run.invoke(app, ["alerts", "--json", "show", ONE])
    assert wrong.exit_code == 2
    assert "stand behind it" in wrong.stderr


def test_a_word_of_somebody_else_at_the_same_moment_wins(
    run: CliRunner, topics: Topics, house: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamgauge.alerts import feedback

    first = feedback.make

    def slow(*given: object, **more: object) -> object:
        monkeypatch.setattr(feedback, "make", first)
        assert "expected by bob" in said(run, "expected", ONE, "--by", "bob")
        return first(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(feedback, "make", slow)
    late = run.invoke(app, ["alerts", "noise", ONE, "--by", "ada"])
    assert late.exit_code == 1
    assert "somebody else said something of" in late.stderr
    assert read_control(house, topics).feedback[ONE].by == "bob"
