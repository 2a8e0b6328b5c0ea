"""`streamgauge exceptions` and `budgets ack` from outside, on real brokers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from runtime.rights import acknowledgement_fault, exception_fault
from schemas.alerts import Alert, AlertScope, AlertWindow, ExceptionStep
from schemas.control.principals import Principal
from schemas.control.records import record_key
from schemas.status import AsOf, BudgetStatus, StatusPeriod, status_key
from schemas.topics import Topics
from streamgauge.apply.plan import Change, Plan
from streamgauge.apply.publish import publish_plan
from streamgauge.cli import app
from streamgauge.exceptions import publishing
from streamgauge.exceptions.publishing import Changed, publish_record, read_control
from tests.streamgauge.exceptions.people import company, grant, principal, rule
from tests.support.enrich import send

ASK = ["exceptions", "request", "--justification", "launch week", "--impact", "more answers"]
Run = Callable[..., Any]


class Office:
    """A broker with a company in force, keys in a folder, and a command line."""

    def __init__(self, connection: KafkaConnection, topics: Topics, folder: Path) -> None:
        self.connection, self.topics, self.folder = connection, topics, folder
        create_topics(connection, topics, 1)
        people = [
            principal(folder, "ada", "manager", teams=("search",)),
            principal(folder, "fin", "finance", contact="#finance"),
            Principal(id="keyless", rights=("platform",)),
        ]
        self.apply(*company(), *people, rule("small", extra_share_at_most="0.05", evidence=["ticket"]))

    def apply(self, *records: Any) -> None:
        changes = tuple(Change("create", record_key(one), one) for one in records)
        publish_plan(Plan(changes, 0, 0), self.connection, self.topics)

    def run(self, *words: str, who: str | None = None, code: int = 0) -> str:
        key = ["--key", str(self.folder / who)] if who is not None else []
        result = CliRunner().invoke(app, [*words, *key])
        assert result.exit_code == code, (result.output, result.exception)
        return result.stdout if code == 0 else result.stderr

    def json(self, *words: str, who: str | None = None) -> Any:
        return json.loads(self.run(*words, "--json", who=who))


@pytest.fixture
def office(bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Office:
    for name in list(os.environ):
        if name.startswith("STREAMGAUGE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("STREAMGAUGE_KAFKA__BOOTSTRAP", bootstrap)
    monkeypatch.setenv("STREAMGAUGE_KAFKA__FETCH_WAIT_MS", "50")
    monkeypatch.setenv("STREAMGAUGE_TOPICS__PREFIX", f"{topic_prefix}.")
    return Office(KafkaConnection(bootstrap, fetch_wait_ms=50), Topics(f"{topic_prefix}."), tmp_path)


def test_an_exception_from_request_to_revocation(office: Office) -> None:
    asked = office.run(*ASK, "--budget", "search-month", "--extra", "500", "--days", "14", who="ada")
    assert "+$500 on search-month until" in asked
    assert "fin  finance, #finance\n" in asked
    assert "keyless  platform (has no key: by a merged file)" in asked
    [listed] = office.json("exceptions", "list")
    assert (listed["state"], listed["requested_by"]) == ("requested", "ada")
    name = listed["id"]
    assert f"$ streamgauge exceptions approve {name}" in asked

    assert "ada has not the right" in office.run("exceptions", "approve", name, who="ada", code=1)
    assert "is not the key of principal fin" in office.run(
        "exceptions", "approve", name, "--as", "fin", who="ada", code=1
    )
    assert "say where your private key is" in office.run("exceptions", "approve", name, code=1)
    assert read_control(office.connection, office.topics).exceptions[name].decision is None

    approved = office.run("exceptions", "approve", name, "--note", "agreed", who="fin")
    assert approved.startswith(f"{name}: +$500 on search-month until ")
    snapshot = read_control(office.connection, office.topics)
    assert exception_fault(snapshot.exceptions[name], snapshot) is None
    assert "was approved by fin" in office.run("exceptions", "approve", name, who="fin", code=1)

    step = ExceptionStep(
        id=name, step="approved", by="fin", valid_from=datetime.now(UTC), valid_to=datetime.now(UTC) + timedelta(days=1)
    )
    send(office.connection, office.topics.alerts, [(0, b"x", step_alert(step).model_dump_json().encode())])
    shown = office.run("exceptions", "show", name)
    assert "approved     by fin (signature)" in shown
    assert "an exception was approved" in shown
    assert max(map(len, shown.splitlines())) <= 100
    office.run("exceptions", "revoke", name, who="ada")
    assert office.json("exceptions", "list") == []
    [listed] = office.json("exceptions", "list", "--all")
    assert listed["state"] == "revoked"
    assert "1 more that are over" in office.run("exceptions", "list")


def test_rules_and_permissions(office: Office) -> None:
    small = [*ASK, "--budget", "search-month", "--extra", "50", "--until", "2999-01-01"]
    told = office.json(*small, "--evidence", "ticket=OPS-12", who="ada")
    assert (told["state"], told["exception"]["decision"]["by"]) == ("approved", "rule/small")
    # The second would go beyond the rule's share together with the first.
    again = office.json(*small, "--evidence", "ticket=OPS-13", who="ada")
    assert (again["state"], again["may_decide"]) == ("requested", ["fin", "keyless"])
    leave = office.json(
        *ASK, "--team", "search", "--model", "opus-*", "--data-class", "public", "--days", "2", who="ada"
    )
    assert leave["exception"]["permits"] == {
        "scope": {"within": [], "team": "search", "data_class": "public"},
        "models": ["opus-*"],
        "providers": [],
    }
    denied = office.run("exceptions", "deny", leave["exception"]["id"], "--note", "no", who="fin")
    assert "opus-* on team search, data class public: denied by fin." in denied
    for wrong in (["--extra", "5"], ["--budget", "b", "--model", "m"], ["--budget", "b", "--team", "search"]):
        office.run(*ASK, *wrong, "--days", "1", code=2)
    for wrong in (["--extra", "lots"], ["--evidence", "ticket"]):
        office.run(*ASK, "--budget", "search-month", *wrong, "--days", "1", code=2)
    office.run(*ASK, "--model", "m", "--stage", "late", "--days", "1", code=2)


def test_a_passphrase_comes_from_the_environment_or_the_terminal(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.streamgauge.exceptions.people import write_key

    public = write_key(office.folder / "locked", "open sesame")
    office.apply(Principal(id="grace", rights=("security",), public_key=public), grant())
    monkeypatch.setenv("STREAMGAUGE_SIGNING__KEY_FILE", str(office.folder / "locked"))
    result = CliRunner().invoke(app, ["exceptions", "deny", "launch"], input="open barley\n")
    assert result.exit_code == 1
    assert "barley" not in result.output
    monkeypatch.setenv("STREAMGAUGE_SIGNING__KEY_PASSWORD", "open sesame")
    assert "denied by grace" in office.run("exceptions", "deny", "launch")


def test_nothing_is_published_on_changed_grounds(office: Office) -> None:
    """Two who decide at once: the second is told, and what the first said stands."""
    office.apply(grant())
    seen = read_control(office.connection, office.topics)
    office.apply(grant(extra=900))
    with pytest.raises(Changed, match="exception/launch was changed by somebody else"):
        publish_record(grant(), seen, office.connection, office.topics)
    assert read_control(office.connection, office.topics).exceptions["launch"].extra == 900
    assert publishing._grounds(seen)


def test_a_manager_acknowledges_a_soft_limit(office: Office) -> None:
    assert "did you mean 'search-month'" in office.run("budgets", "ack", "serch-month", who="ada", code=1)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for state in ("warning", "soft"):
        one = status(start, state)
        send(office.connection, office.topics.status, [(0, status_key(one.budget_id, start).encode(), _json(one))])
        if state == "warning":
            refused = office.run("budgets", "ack", "search-month", who="ada", code=1)
            assert "stands at warning, below its soft limit" in refused
    told = office.run("budgets", "ack", "search-month", "--note", "until Friday", who="ada")
    assert told == "search-month: soft limit acknowledged by ada for March 2026.\n"
    snapshot = read_control(office.connection, office.topics)
    record = snapshot.acknowledgements["search-month"]
    assert record.period_start == start, "the period that has a status, whatever the clock says"
    assert acknowledgement_fault(record, snapshot) is None


def _json(one: BudgetStatus) -> bytes:
    return one.model_dump_json().encode()


def status(start: datetime, state: str) -> BudgetStatus:
    fields = {
        "budget_id": "search-month",
        "rule": "r",
        "scope": AlertScope(team="search"),
        "period": StatusPeriod(kind="month", start=start, end=start + timedelta(days=31), time_zone="UTC"),
        "unit": "nanousd",
        "used": 1_010_000_000_000,
        "provisional": 0,
        "limit": 1_000_000_000_000,
        "used_share": 1.01,
        "calls": 1,
        "state": state,
        "mode": "enforce",
        "would_stop": False,
        "levels": {},
        "as_of": AsOf(watermark=None, offsets={}),
        "evaluated_at": start,
    }
    return BudgetStatus.model_validate(fields)


def step_alert(step: ExceptionStep) -> Alert:
    now = datetime.now(UTC)
    return Alert(
        alert_id="exception-1",
        revision=0,
        kind="exception",
        state="firing",
        severity="info",
        historical=False,
        scope=AlertScope(team="search"),
        window=AlertWindow(start=now, end=now),
        unit="nanousd",
        observed=0,
        exception=step,
        summary="an exception was approved",
        suggested_action="None.",
        occurred_at=now,
        evaluated_at=now,
    )
