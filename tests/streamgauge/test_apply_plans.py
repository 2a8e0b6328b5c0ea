"""Plans against what is in force: the tree of departments, decisions made since, and what is never pruned."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from runtime.signatures import public_key_of, sign
from schemas.control.budgets import Budget
from schemas.control.decisions import Decision
from schemas.control.exceptions import ExceptionGrant
from schemas.control.records import parse_record
from schemas.control.snapshot import ControlSnapshot
from tests.docs.pages import ROOT
from tests.streamgauge.applying import Files, in_force

TREE = """\
{kind: department, id: top}
---
{kind: department, id: mid, parent: top}
---
{kind: department, id: low, parent: mid}
---
kind: directory
teams: [{id: t, department: low}, {id: u, department: top}]
---
{kind: principal, id: fin, rights: [finance]}
"""
BUDGET = "{{kind: budget, id: {id}, scope: {{department: {id}}}, limit: 10, period: month}}\n"
EXCEPTION = """\
kind: exception
id: e
budget: top
extra: 5
justification: j
expected_impact: i
requested_by: ada
requested_at: 2026-11-01
valid_from: 2026-11-01
valid_to: 2026-12-01
"""
REVIEWED = "decision: {verdict: approved, by: fin, at: 2026-11-02, via: review}\n"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.write("tree.yaml", TREE)
    files.write("top.yaml", BUDGET.format(id="top"))
    files.write("low.yaml", BUDGET.format(id="low"))
    return files


def within(snapshot: ControlSnapshot, name: str) -> tuple[str, ...]:
    return snapshot.budgets[name].scope.within


def test_a_department_counts_all_below_it(files: Files) -> None:
    snapshot = files.snapshot()
    assert within(snapshot, "top") == ("top", "low", "mid")
    assert within(snapshot, "low") == ()
    assert snapshot.budgets["low"].rule == Budget.model_validate({
        "id": "low", "scope": {"department": "low"}, "limit": 1, "period": "month"
    }).rule  # fmt: skip
    assert files.plan(snapshot).changes == ()


def test_a_department_that_moves_changes_budgets_that_no_file_names(files: Files) -> None:
    current = files.snapshot()
    files.write("tree.yaml", TREE.replace("id: low, parent: mid", "id: low"))
    plan = files.plan(current, "tree.yaml")
    assert [(change.action, change.key) for change in plan.changes] == [
        ("update", "department/low"),
        ("update", "budget/top"),
    ]
    assert (plan.unchanged, within(plan.applied_to(current), "top")) == (5, ("top", "mid"))


def test_a_file_with_the_request_leaves_the_decision_made_since(files: Files) -> None:
    files.write("e.yaml", EXCEPTION)
    current = files.snapshot()
    request = current.exceptions["e"]
    said = Decision.model_validate({"verdict": "approved", "by": "fin", "at": "2026-11-05", "via": "signature"})
    decided = current.with_changes({"exception/e": (1, request.model_copy(update={"decision": said}))}, 2)
    assert files.plan(decided).changes == ()
    assert files.plan(decided, prune=True).changes == ()
    # An older decision in the file does not undo a newer one; a newer one stands.
    files.write("e.yaml", EXCEPTION + REVIEWED)
    assert files.plan(decided).changes == ()
    files.write("e.yaml", EXCEPTION + REVIEWED.replace("11-02", "11-09").replace("approved", "revoked"))
    [change] = files.plan(decided).changes
    assert isinstance(change.record, ExceptionGrant)
    assert change.record.decision is not None
    assert change.record.decision.verdict == "revoked"
    # What was decided on does not change under the decision.
    files.write("e.yaml", EXCEPTION.replace("extra: 5", "extra: 500"))
    [problem] = files.problems(None, decided)
    assert problem == (
        "e.yaml:2: id: exception e was approved by fin on 2026-11-05: what was decided on is not changed afterwards; "
        "ask anew, with another id"
    )


def test_an_id_that_somebody_else_asked_under_is_refused(files: Files) -> None:
    files.write("e.yaml", EXCEPTION)
    current = files.snapshot()
    files.write("e.yaml", EXCEPTION.replace("ada", "bob"))
    [problem] = files.problems(None, current)
    assert problem.startswith("e.yaml:2: id: exception e is already there, asked for by ada: give this one another id")


def test_an_older_acknowledgement_does_not_replace_a_newer(files: Files) -> None:
    ack = "kind: acknowledgement\nid: top\nperiod_start: 2026-{}-01\n"
    ack += "decision: {{verdict: acknowledged, by: fin, at: 2026-11-02, via: review}}\n"
    files.write("a.yaml", ack.format("11"))
    current = files.snapshot()
    files.write("a.yaml", ack.format("10"))
    assert files.plan(current).changes == ()
    files.write("a.yaml", ack.format("12"))
    assert [one.action for one in files.plan(current).changes] == ["update"]


@pytest.mark.parametrize(("via", "pruned"), [("review", True), ("signature", False), ("rule", False), (None, False)])
def test_what_came_by_command_is_never_pruned(files: Files, via: str | None, pruned: bool) -> None:
    files.write("e.yaml", EXCEPTION)
    kept = files.snapshot().exceptions["e"]
    files.write("e.yaml", EXCEPTION.replace("id: e", "id: other"))
    by = "rule/r" if via == "rule" else "fin"
    said = {"verdict": "approved", "by": by, "at": "2026-11-05", "via": via}
    record = kept.model_copy(update={"decision": None if via is None else Decision.model_validate(said)})
    current = files.snapshot(in_force(record))
    assert "exception/e" in current.records
    gone = [one.key for one in files.plan(current, prune=True).changes if one.action == "delete"]
    assert gone == (["exception/e"] if pruned else [])


def test_a_signature_in_a_file_must_hold(files: Files) -> None:
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = public_key_of(private, None)
    files.write("p.yaml", f"kind: principal\nid: key\nrights: [security]\npublic_key: {public}\n")
    files.write("e.yaml", EXCEPTION)
    grant = files.snapshot().exceptions["e"]
    said = Decision.model_validate({"verdict": "approved", "by": "key", "at": "2026-11-05", "via": "signature"})
    signature = sign(private, None, said.signed_bytes(grant))
    text = f"decision: {{verdict: approved, by: key, at: 2026-11-05, via: signature, signature: '{signature}'}}\n"
    files.write("e.yaml", EXCEPTION + text)
    assert files.snapshot().exceptions["e"].is_approved
    files.write("e.yaml", (EXCEPTION + text).replace("extra: 5", "extra: 6"))
    [problem] = files.problems()
    assert problem.startswith("e.yaml:11: decision.signature: the signature is not one of key's key over this record")


def test_only_what_an_apply_takes_away_is_held_against_it(files: Files) -> None:
    """A record that names what was never there (from an earlier version) does not stop every apply after it."""
    stray = parse_record('{"kind": "budget", "id": "old", "scope": {"team": "ghost"}, "limit": "1", "period": "day"}')
    current = files.snapshot(in_force(stray))
    assert "budget/old" in current.records
    files.write("tree.yaml", TREE.replace("{id: u, department: top}", "{id: ghost}"))
    current = files.snapshot(current)
    files.write("tree.yaml", TREE)
    [problem] = files.problems(None, current, "tree.yaml", prune=True)
    assert "team 'ghost' is not defined, but budget/old, which is in force, needs it" in problem


def test_the_worked_examples_apply_whole_and_in_part() -> None:
    folder = Files(ROOT / "examples" / "governance")
    plan = folder.plan()
    assert plan.notes == ()
    current = plan.applied_to(ControlSnapshot())
    kinds = {change.key.split("/")[0] for change in plan.changes}
    assert kinds == {"team", "sender", "department", "use_case", "model", "principal", "policy", "budget", "exception",
                     "exception_rule"}  # fmt: skip
    assert (len(current.departments), len(current.teams)) == (2, 4)
    assert folder.plan(current, "customer", prune=True).changes == ()
