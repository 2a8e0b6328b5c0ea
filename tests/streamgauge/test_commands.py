"""The command line from outside: help, errors in one sentence, tables and JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from clickhouse_connect.driver.exceptions import DatabaseError
from confluent_kafka import Producer
from typer.testing import CliRunner

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.alerts import Alert, AlertScope, AlertWindow
from schemas.status import AsOf, BudgetStatus, StatusPeriod, status_key
from schemas.topics import SPECS, Topics
from streamgauge.cli import app
from streamgauge.cli.face import explain
from streamgauge.cli.output import fits, print_records
from streamgauge.embedded.broker import pick_port

DOCS = Path(__file__).parents[2] / "docs" / "commands.md"


def commands() -> dict[str, Any]:
    """Every command by what a person types, subcommands included."""
    found = {}
    top: Any = typer.main.get_command(app)
    for name, command in top.commands.items():
        for sub, inner in getattr(command, "commands", {"": command}).items():
            found[f"{name} {sub}".strip()] = inner
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    """A runner in an empty folder, without settings of whoever runs the tests, as wide as a terminal of 100 columns."""
    for name in list(os.environ):
        if name.startswith("STREAMGAUGE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return CliRunner()


@pytest.fixture
def topics(run: CliRunner, bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Topics:
    """Settings of a broker, and topics on it that are not there yet."""
    del run
    monkeypatch.setenv("STREAMGAUGE_KAFKA__BOOTSTRAP", bootstrap)
    monkeypatch.setenv("STREAMGAUGE_TOPICS__PREFIX", f"{topic_prefix}.")
    monkeypatch.setenv("STREAMGAUGE_TOPICS__EVENT_PARTITIONS", "2")
    monkeypatch.setenv("STREAMGAUGE_TOPICS__TALLY_PARTITIONS", "2")
    monkeypatch.setenv("STREAMGAUGE_TOPICS__REPLICATION", "1")
    monkeypatch.setenv("STREAMGAUGE_ENRICH__USER_KEY", "a-key-of-16-chars-or-more")
    return Topics(f"{topic_prefix}.", 2, 2)


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_with_an_example(name: str, run: CliRunner) -> None:
    result = run.invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "Examples" in result.output
    assert "streamgauge " in result.output.split("Examples")[1]


@pytest.mark.parametrize("name", commands())
def test_help_fills_its_lines(name: str, run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line of a paragraph is broken where the source is: each holds as many words as it can."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = run.invoke(app, [*name.split(), "--help"]).output.split("╭─")[0].split("Usage:")[1].splitlines()[1:]
    for line, following in pairwise(lines):
        if line.strip() and following.strip():
            assert len(line.strip()) + 1 + len(following.split()[0]) > 76, f"broken early: {line!r}, {following!r}"


def test_up_refuses_what_no_house_can_have(run: CliRunner) -> None:
    for wrong in (["--without", "enrch"], ["--kafka-port", "99999"], ["--http-port", "-1"]):
        refused = run.invoke(app, ["up", *wrong])
        assert refused.exit_code == 2, wrong
        assert wrong[0] in refused.stderr
        assert not Path(".streamgauge").exists(), "nothing was begun"


def test_the_version_is_told(run: CliRunner) -> None:
    result = run.invoke(app, ["--version"])
    assert (result.exit_code, result.output.split()[0]) == (0, "streamgauge")


def test_every_command_stands_in_the_docs() -> None:
    text = DOCS.read_text(encoding="utf-8")
    missing = [name for name in commands() if f"streamgauge {name}" not in text]
    assert missing == []


def test_every_command_that_tells_something_can_tell_it_to_scripts() -> None:
    silent = {"enrich", "agents", "sink", "check serve", "schemas show"}
    without = {
        name for name, command in commands().items() if "--json" not in [o for p in command.params for o in p.opts]
    }
    assert without == silent


def test_help_needs_nothing_heavy() -> None:
    heavy = ("pyarrow", "confluent_kafka", "faust", "clickhouse_connect", "numpy", "pydantic")
    code = f"import sys, streamgauge.cli; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["topics", "apply x.yaml", "alerts", "budgets", "query SELECT", "enrich", "doctor"])
def test_a_wrong_setting_is_one_sentence(name: str, run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGAUGE_KAFKA__BOOTSTRP", "x")
    result = run.invoke(app, name.split())
    assert result.exit_code == 1
    assert re.fullmatch(r"streamgauge: .*did you mean STREAMGAUGE_KAFKA__BOOTSTRAP\?\n", result.stderr)


@pytest.mark.parametrize("name", ["topics", "alerts", "budgets", "replay {file} --format azure-llm"])
def test_kafka_that_is_not_there_is_one_sentence(
    name: str, run: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n", encoding="utf-8")
    address = f"127.0.0.1:{pick_port()}"
    monkeypatch.setenv("STREAMGAUGE_KAFKA__BOOTSTRAP", address)
    result = run.invoke(app, name.format(file=file).split())
    assert result.exit_code == 1
    assert result.stderr.startswith(f"streamgauge: Kafka at {address} cannot be reached")
    assert "streamgauge up" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_role_without_its_topics_ends_with_a_sentence(topics: Topics) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-m", "streamgauge", "enrich"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("streamgauge: topics are missing (")
    assert topics.events in done.stderr
    assert "Traceback" not in done.stderr


def test_topics_are_created_and_compared(run: CliRunner, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.invoke(app, ["topics", "--check"]).exit_code == 1
    created = run.invoke(app, ["topics", "--json"])
    assert [one["action"] for one in json.loads(created.stdout)] == ["created"] * len(SPECS)
    table = run.invoke(app, ["topics", "--check"])
    assert table.exit_code == 0
    assert topics.events in table.stdout
    monkeypatch.setenv("STREAMGAUGE_TOPICS__TALLY_PARTITIONS", "5")
    refused = run.invoke(app, ["topics"])
    assert refused.exit_code == 1
    assert "partition counts are a contract" in refused.stderr


def test_access_rights_of_one_role(run: CliRunner) -> None:
    text = run.invoke(app, ["topics", "--acls", "--role", "gateway"])
    assert text.exit_code == 0
    assert all("User:streamgauge-gateway" in line for line in text.stdout.splitlines()[1:])
    told = json.loads(run.invoke(app, ["topics", "--acls", "--role", "gateway", "--json"]).stdout)
    assert {one["name"] for one in told if one["resource"] == "topic"} == {
        "governance.status",
        "governance.status.users",
    }
    assert run.invoke(app, ["topics", "--acls", "--role", "boss"]).exit_code == 2


def test_apply_says_what_changed_and_refuses_with_lines(run: CliRunner, topics: Topics, tmp_path: Path) -> None:
    create_topics(KafkaConnection(topics_bootstrap()), topics, 1)
    file = tmp_path / "g.yaml"
    file.write_text("kind: directory\nteams: [{id: search}]\nmembers: [{user: ada, team: search}]\n", encoding="utf-8")
    dry = json.loads(run.invoke(app, ["apply", "--dry-run", "--json", str(file)]).stdout)
    assert (dry["applied"], len(dry["changes"])) == (False, 2)
    assert "2 changed, 0 as before." in run.invoke(app, ["apply", str(file)]).stdout
    assert "0 changed, 2 as before." in run.invoke(app, ["apply", str(file)]).stdout
    file.write_text("kind: budget\nid: b\nlimit: x\nperiod: day\n", encoding="utf-8")
    refused = run.invoke(app, ["apply", str(file)])
    assert refused.exit_code == 1
    assert f"{file}:3: limit: " in refused.stderr


def topics_bootstrap() -> str:
    return os.environ["STREAMGAUGE_KAFKA__BOOTSTRAP"]


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def alert(number: int, **more: object) -> Alert:
    fields: dict[str, object] = {
        "alert_id": f"budget-{number}",
        "revision": 0,
        "kind": "budget",
        "state": "firing",
        "severity": "critical",
        "historical": False,
        "scope": AlertScope(team="search"),
        "window": AlertWindow(start=NOON, end=NOON),
        "unit": "nanousd",
        "observed": 1,
        "summary": f"alert number {number}",
        "suggested_action": "look",
        "occurred_at": NOON,
        "evaluated_at": NOON,
    }
    return Alert.model_validate(fields | more)


def status(budget: str, used: int, day: int, **more: object) -> BudgetStatus:
    start, end = datetime(2026, 11, day, tzinfo=UTC), datetime(2026, 11, day + 1, tzinfo=UTC)
    fields: dict[str, object] = {
        "budget_id": budget,
        "rule": "r",
        "scope": AlertScope(team="search"),
        "period": StatusPeriod(kind="day", start=start, end=end, time_zone="Europe/Berlin"),
        "unit": "nanousd",
        "used": used * 1_000_000_000,
        "provisional": 0,
        "limit": 100_000_000_000,
        "used_share": used / 100,
        "calls": 1,
        "state": "ok",
        "mode": "warn",
        "would_stop": False,
        "levels": {},
        "as_of": AsOf(watermark=None, offsets={}),
        "evaluated_at": NOON,
    }
    return BudgetStatus.model_validate(fields | more)


def produce(topic: str, records: Sequence[tuple[str, bytes | None]]) -> None:
    producer = Producer({"bootstrap.servers": topics_bootstrap()})
    for key, value in records:
        producer.produce(topic, value, key, 0)
    assert producer.flush(20) == 0


def test_alerts_are_shown_by_their_newest_state(run: CliRunner, topics: Topics) -> None:
    create_topics(KafkaConnection(topics_bootstrap()), topics, 1)
    assert run.invoke(app, ["alerts"]).stdout == "No alerts.\n"
    alerts = [
        alert(1),
        alert(2, scope=AlertScope(team="support")),
        alert(1, state="resolved", revision=1, summary="it is over"),
        alert(3, historical=True),
    ]
    produce(topics.alerts, [(one.alert_id, one.model_dump_json().encode()) for one in alerts] + [("x", b"{}")])
    shown = run.invoke(app, ["alerts"])
    assert "it is over" in shown.stdout
    assert "alert number 1" not in shown.stdout
    assert "alert number 3" not in shown.stdout, "history is shown only where it is asked for"
    assert "1 more about replayed old time: --history shows them." in shown.stdout
    assert "cannot be read" in shown.stderr
    assert "alert number 3" in run.invoke(app, ["alerts", "--history"]).stdout
    assert "alert number 2" not in run.invoke(app, ["alerts", "--team", "search"]).stdout
    lines = [json.loads(line) for line in run.invoke(app, ["alerts", "--json"]).stdout.splitlines()]
    assert [line["alert_id"] for line in lines] == [one.alert_id for one in alerts]


def test_budgets_are_shown_fullest_first_and_fit_a_terminal(run: CliRunner, topics: Topics) -> None:
    create_topics(KafkaConnection(topics_bootstrap()), topics, 1)
    assert "No budget has a status yet" in run.invoke(app, ["budgets"]).stdout
    statuses = [
        status("calm", 10, 19),
        status("full", 99, 18),
        status("full", 130, 19, state="hard"),
        status("waits", 0, 19, state="unknown", state_reason="its base is not there yet"),
        status("gone", 50, 19),
    ]
    records: list[tuple[str, bytes | None]] = [
        (status_key(one.budget_id, one.period.start), one.model_dump_json().encode()) for one in statuses
    ]
    produce(topics.status, [*records, (records[-1][0], None)])
    told = json.loads(run.invoke(app, ["budgets", "--json"]).stdout)
    assert [(one["budget_id"], one["used_share"]) for one in told] == [("full", 1.3), ("calm", 0.1), ("waits", 0.0)]
    assert len(json.loads(run.invoke(app, ["budgets", "--all", "--json"]).stdout)) == 4
    text = run.invoke(app, ["budgets"]).stdout
    assert "130%" in text
    assert "$130 " in text
    assert "$10.00" in text
    assert "  unknown, because its base is not there yet" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_replay_sends_and_counts(run: CliRunner, topics: Topics, tmp_path: Path) -> None:
    create_topics(KafkaConnection(topics_bootstrap()), topics, 1)
    trace = tmp_path / "trace.csv"
    lines = ("2023-11-16 18:15:46.6805900,374,44", "2023-11-16 18:15:50.9951690,396,109")
    trace.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *lines, ""]), encoding="utf-8")
    told = json.loads(run.invoke(app, ["replay", str(trace), "--format", "azure-llm", "--json"]).stdout)
    assert (told["delivered"], told["input_tokens"], told["output_tokens"]) == (2, 770, 153)
    assert told["first_event"] == "2023-11-16T18:15:46.680590Z"
    assert "2 events in " in run.invoke(app, ["replay", str(trace), "--format", "azure-llm"]).stdout
    wrong = run.invoke(app, ["replay", str(trace), "--format", "azure-llm", "--speed", "0"])
    assert wrong.exit_code == 2
    assert run.invoke(app, ["replay", "gone.csv", "--format", "azure-llm"]).exit_code == 2


def test_schemas_without_a_registry(run: CliRunner) -> None:
    told = json.loads(run.invoke(app, ["schemas", "list", "--json"]).stdout)
    assert {one["name"] for one in told["schemas"]} == {"usage_event", "usage_event_batch", "outcome_event"}
    assert json.loads(run.invoke(app, ["schemas", "show", "usage_event"]).stdout)["name"] == "UsageEvent"
    assert run.invoke(app, ["schemas", "show", "nothing"]).exit_code == 2
    assert run.invoke(app, ["schemas", "show", "usage_event", "--version", "99"]).exit_code == 2
    refused = run.invoke(app, ["schemas", "register"])
    assert refused.exit_code == 1
    assert "STREAMGAUGE_REGISTRY__URL" in refused.stderr


def test_schemas_are_registered(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.registry import FakeRegistry

    with FakeRegistry() as registry:
        monkeypatch.setenv("STREAMGAUGE_REGISTRY__URL", registry.url)
        registered = json.loads(run.invoke(app, ["schemas", "register", "--json"]).stdout)
        assert [one["state"] for one in registered] == ["current", "current"]
        assert "FULL_TRANSITIVE" in run.invoke(app, ["schemas", "list"]).stdout


def test_doctor_with_nothing_running_says_what_to_do(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGAUGE_KAFKA__BOOTSTRAP", f"127.0.0.1:{pick_port()}")
    monkeypatch.setenv("STREAMGAUGE_CLICKHOUSE__PORT", str(pick_port()))
    result = run.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert result.stdout.count("→ start it with `streamgauge up`") == 2
    found = json.loads(run.invoke(app, ["doctor", "--json"]).stdout)
    assert {one["check"]: one["state"] for one in found} == {
        "Kafka": "failed",
        "topics": "skipped",
        "schema registry": "skipped",
        "ClickHouse": "failed",
        "migrations": "skipped",
        "user key": "warning",
    }


def test_doctor_sees_missing_topics_and_other_counts(
    run: CliRunner, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMGAUGE_CLICKHOUSE__PORT", str(pick_port()))

    def topics_finding() -> dict[str, str]:
        found: list[dict[str, str]] = json.loads(run.invoke(app, ["doctor", "--json"]).stdout)
        return next(one for one in found if one["check"] == "topics")

    assert topics_finding()["advice"] == "create them with `streamgauge topics`"
    create_topics(KafkaConnection(topics_bootstrap()), topics, 1)
    assert topics_finding()["state"] == "ok"
    monkeypatch.setenv("STREAMGAUGE_TOPICS__EVENT_PARTITIONS", "7")
    assert topics_finding()["state"] == "failed"


def test_apply_says_when_a_new_budget_counts(run: CliRunner, topics: Topics, tmp_path: Path) -> None:
    create_topics(KafkaConnection(topics_bootstrap()), topics, 1)
    file = tmp_path / "b.yaml"
    budget = "kind: budget\nid: b\nlimit: 5\nperiod: month\n"
    file.write_text(budget, encoding="utf-8")
    assert "until ClickHouse has been asked for it, it is `unknown`" in run.invoke(app, ["apply", str(file)]).stdout
    file.write_text(budget.replace("5", "6"), encoding="utf-8")
    assert "unknown" not in run.invoke(app, ["apply", str(file)]).stdout, "another limit changes nothing about the past"


def test_query_wants_one_source_of_sql(run: CliRunner) -> None:
    assert run.invoke(app, ["query"]).exit_code == 2
    assert run.invoke(app, ["query", "SELECT 1", "--file", "x.sql"]).exit_code == 2


def test_an_answer_too_wide_for_a_table_is_told_value_by_value(capsys: pytest.CaptureFixture[str]) -> None:
    narrow, wide = ("team", "calls"), tuple(f"column_{number}" for number in range(12))
    assert fits(narrow, [("search", "12"), ("x" * 300, "1")]), "one long value is folded"
    assert not fits(wide, [("a value of some length",) * 12])
    print_records(("team", "cost_usd"), [("search", "1.5"), ("support", "")])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "row 1", "  team      search", "  cost_usd  1.5", "row 2", "  team      support", "  cost_usd",
    ]  # fmt: skip


def test_what_clickhouse_says_is_told_without_its_wrapping() -> None:
    wrapped = (
        "Received ClickHouse exception, code: 47, server response: Code: 47. DB::Exception: Unknown expression "
        "identifier `nope`. In scope SELECT nope. (UNKNOWN_IDENTIFIER) (version 26.9.2.1) (for url http://host:8123)"
    )
    assert explain(DatabaseError(wrapped)) == (
        "ClickHouse: Unknown expression identifier `nope`. In scope SELECT nope (UNKNOWN_IDENTIFIER)"
    )
    assert explain(DatabaseError("something else")) == "ClickHouse: something else"
