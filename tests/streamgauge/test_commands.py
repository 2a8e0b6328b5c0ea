"""The command line from outside: help, errors in one sentence, tables and JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from clickhouse_connect.driver.exceptions import DatabaseError
from typer.testing import CliRunner

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.topics import SPECS, Topics
from streamgauge.cli import app
from streamgauge.cli.face import explain
from streamgauge.cli.output import fits, print_records
from streamgauge.embedded.broker import pick_port
from tests.streamgauge.brokers import topics_bootstrap

DOCS = Path(__file__).parents[2] / "docs" / "commands.md"


def commands() -> dict[str, Any]:
    """Every command by what a person types, subcommands included."""
    found = {}
    top: Any = typer.main.get_command(app)
    for name, command in top.commands.items():
        for sub, inner in getattr(command, "commands", {"": command}).items():
            found[f"{name} {sub}".strip()] = inner
    return found


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
    silent = {"enrich", "agents", "sink", "forward", "check serve", "schemas show"}
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
