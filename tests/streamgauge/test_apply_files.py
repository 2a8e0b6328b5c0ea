"""Files to records: every problem with file, line and field; nothing half read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.control.directory import Sender, Team
from schemas.control.records import record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.pseudonym import hash_user
from streamgauge.apply import ApplyError, load_files, make_plan
from tests.streamgauge.applying import KEY, Files

DIRECTORY = """\
kind: directory
teams:
  - {id: search, name: Search, department: product, cost_center: CC-1, valid_from: 2026-01-01, valid_to: 2026-07-01}
  - {id: search, department: platform, cost_center: CC-2, valid_from: 2026-07-01}
  - {id: support, department: customer}
members:
  - {user: ada@example.com, team: search, valid_to: 2026-03-01}
  - {user: ada@example.com, team: support, role: lead, valid_from: 2026-03-01}
credentials:
  - {id: key-1, team: search}
sources:
  - {id: gateway, team: support}
"""


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_flat_entries_become_dated_records(files: Files) -> None:
    files.write("directory.yaml", DIRECTORY)
    loaded = files.load()
    search = loaded.records["team/search"]
    assert isinstance(search, Team)
    assert search.name == "Search"
    assert [term.department for term in search.terms] == ["product", "platform"]
    ada = loaded.records[f"sender/user/{hash_user(KEY, 'ada@example.com')}"]
    assert isinstance(ada, Sender)
    assert [(term.team, term.role) for term in ada.terms] == [("search", None), ("support", "lead")]
    assert set(loaded.records) >= {"team/support", "sender/credential/key-1", "sender/source/gateway"}


def test_a_plain_user_id_is_published_nowhere(files: Files) -> None:
    files.write("directory.yaml", DIRECTORY)
    assert not any("ada" in record.model_dump_json() for record in files.load().records.values())


def test_members_need_the_key(files: Files) -> None:
    files.write("directory.yaml", DIRECTORY)
    [problem] = files.problems(key=None)
    assert problem.startswith("directory.yaml:6: members: ")
    assert "STREAMGAUGE_ENRICH__USER_KEY" in problem


def test_documents_of_every_kind_in_lists_and_streams(files: Files) -> None:
    files.write(
        "all.yaml",
        """\
- {kind: use_case, id: answers, owner: Ada}
- {kind: model, id: gpt-*, model_class: frontier}
---
kind: budget
id: all
limit: "10.50"
period: month
---
kind: price
id: cheap
model: gpt-x
valid_from: 2026-01-01
source: contract
rates: {input: "1", output: 2}
""",
    )
    loaded = files.load()
    assert set(loaded.records) == {"use_case/answers", "model/gpt-*", "budget/all", "price/cheap"}
    assert loaded.kinds == {"use_case", "model", "budget", "price"}
    assert all(record_key(record) == key for key, record in loaded.records.items())
    assert loaded.places["budget/all"].line == 4


BUDGET = "kind: budget\nid: {id}\nlimit: 1\nperiod: day\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: budget\nid: a\nperiod: day\n", "f.yaml:1: limit: is missing"),
        ("kind: budget\nid: a\nlimit: 0.5\nperiod: day\n", "f.yaml:3: limit: 0.5 is a binary fraction"),
        ("kind: budget\nid: a\nlimit: -1\nperiod: day\n", "f.yaml:3: limit: must be above zero"),
        ("kind: budget\nid: a\nlimit: 1\nperiod: year\n", "f.yaml:4: period: input should be 'hour', 'day', 'week',"),
        ("kind: budget\nid: a\nlimt: 1\n", "f.yaml:3: limt: is not a field here; did you mean limit?"),
        ("kind: budget\nid: a\nscope:\n  tem: x\n", "f.yaml:4: scope.tem: is not a field here; did you mean team?"),
        ("kind: budget\nid: a b\nlimit: 1\nperiod: day\n", "f.yaml:2: id: string should match pattern"),
        ("kind: budget\nid: a\nid: b\nlimit: 1\nperiod: day\n", "f.yaml:2: id: stands twice"),
        ("kind: budget\nid: [\n", "f.yaml:3: not YAML"),
        ("kind: budget\nid: !!python/object:os.system x\n", "f.yaml:2: not YAML"),
        ("kind: directory\nteams:\n  - id: a\n    valid_from: 2026-13-01\n", "f.yaml:4: teams.0.valid_from"),
        ("kind: directory\nteams:\n  - id: a\n    valid_from: 2026-01-01 10:00:00\n", "f.yaml:4: teams.0.valid_from"),
        ("kind: bugdet\n", "f.yaml:1: kind: 'bugdet' is not known; did you mean budget?"),
        ("id: a\n", "f.yaml:1: kind: every document is a mapping with a kind"),
        ("just words\n", "f.yaml:1: kind: every document is a mapping with a kind"),
        ("- {kind: budget, id: a, limit: 1, period: day}\n- 5\n", "f.yaml:2: kind: every document is a mapping"),
    ],
)  # fmt: skip
def test_a_problem_names_file_line_and_field(files: Files, text: str, problem: str) -> None:
    files.write("f.yaml", text)
    assert any(one.startswith(problem) for one in files.problems()), files.problems()


@pytest.mark.parametrize("kind", ["feedback"])
def test_kinds_that_come_by_command_are_refused_by_name(files: Files, kind: str) -> None:
    files.write("f.yaml", f"{BUDGET.format(id='a')}---\nkind: {kind}\nid: x\n")
    [problem] = files.problems()
    assert problem.startswith(f"f.yaml:6: kind: {kind} stands in no file: ")


def test_all_problems_are_told_at_once(files: Files) -> None:
    files.write("a.yaml", "kind: budget\nid: a\nperiod: day\n")
    files.write("b.yaml", "kind: budget\nid: b\nlimit: 1\nperiod: never\n---\nkind: nothing\n")
    assert [problem.split(": ")[0] for problem in files.problems()] == ["a.yaml:1", "b.yaml:4", "b.yaml:6"]


def test_one_id_twice_names_both_places(files: Files) -> None:
    files.write("a.yaml", BUDGET.format(id="x"))
    files.write("b.yaml", f"{BUDGET.format(id='y')}---\n{BUDGET.format(id='x')}")
    [problem] = files.problems()
    assert problem.startswith("b.yaml:7: id: budget/x is defined twice; the other is at ")
    assert problem.endswith("a.yaml:2")


def test_overlapping_terms_name_the_person_not_the_hash(files: Files) -> None:
    files.write("d.yaml", DIRECTORY)
    files.write(
        "e.yaml", "kind: directory\nmembers:\n  - {user: ada@example.com, team: search, valid_from: 2026-06-01}\n"
    )
    [problem] = files.problems()
    assert problem.startswith("e.yaml:3: members: user ada@example.com has two entries for the same time")
    assert "d.yaml:8" in problem


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (
            "kind: directory\nmembers:\n  - {user: bob, team: serch}\n",
            "f.yaml:3: team: team 'serch' is not defined; did you mean 'search'?",
        ),
        (
            "kind: directory\nsources:\n  - {id: gw, team: nobody}\n",
            "f.yaml:3: team: team 'nobody' is not defined",
        ),
        (
            "kind: budget\nid: a\nscope: {team: serch}\nlimit: 1\nperiod: day\n",
            "f.yaml:3: scope.team: team 'serch' is not defined",
        ),
        (
            "kind: budget\nid: a\nscope: {department: custmer}\nlimit: 1\nperiod: day\n",
            "f.yaml:3: scope.department: department 'custmer' is not defined; did you mean 'customer'?",
        ),
    ],
)
def test_names_that_nobody_defines_are_refused(files: Files, document: str, problem: str) -> None:
    files.write("directory.yaml", DIRECTORY)
    files.write("f.yaml", document)
    assert any(one.startswith(problem) for one in files.problems()), files.problems()


def test_a_house_without_a_directory_may_budget_by_team(files: Files) -> None:
    files.write("f.yaml", "kind: budget\nid: a\nscope: {team: search}\nlimit: 1\nperiod: day\n")
    assert len(make_plan(files.load(), ControlSnapshot()).changes) == 1


def test_two_prices_for_one_moment_are_refused(files: Files) -> None:
    price = "kind: price\nid: {id}\nmodel: m\nvalid_from: {start}\nvalid_to: 2027-01-01\nsource: s\n"
    price += 'rates: {{input: "1", output: "1"}}\n'
    files.write("a.yaml", price.format(id="p1", start="2026-01-01"))
    files.write("b.yaml", price.format(id="p2", start="2026-06-01"))
    [problem] = files.problems()
    assert problem.startswith("b.yaml:1: valid_from: price overrides 'p1' and 'p2' both price")


def test_files_that_are_not_there_and_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ApplyError, match="this file does not exist"):
        load_files([tmp_path / "gone.yaml"], KEY)
    with pytest.raises(ApplyError, match=r"holds no \*\.yaml file"):
        load_files([tmp_path / "empty"], KEY)


def test_anchors_and_merges_are_read(files: Files) -> None:
    files.write("f.yaml", "- &base {kind: budget, id: a, limit: 1, period: day}\n- {<<: *base, id: b}\n")
    assert set(files.load().records) == {"budget/a", "budget/b"}


def test_a_path_without_documents_is_named_without_a_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone.yaml"
    with pytest.raises(ApplyError) as wrong:
        load_files([gone, tmp_path], KEY)
    first, *lines = str(wrong.value).splitlines()
    assert first == "2 problems; nothing was applied:"
    assert lines == [f"{tmp_path}: this folder holds no *.yaml file", f"{gone}: this file does not exist"]


def test_a_value_is_told_once(files: Files) -> None:
    files.write("b.yaml", "kind: budget\nid: b\nlimit: 5\nperiod: month\ntime_zone: Europe/Berln\n")
    [problem] = files.problems()
    assert problem.count("Europe/Berln") == 1


def test_reading_documents_loads_no_columns() -> None:
    """Commands that read or publish a document start in a moment; pyarrow alone would take most of it."""
    code = "import sys, streamgauge.apply; sys.exit(any(name in sys.modules for name in ('pyarrow', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
