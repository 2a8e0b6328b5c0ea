"""Folders have owners: a file in one defines what its owner holds, and nothing else, however it is applied."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.streamgauge.applying import Files

ROOT = """\
{kind: department, id: product}
---
{kind: department, id: consumer, parent: product}
---
{kind: department, id: operations}
---
kind: directory
teams:
  - {id: search, department: product}
  - {id: shop, department: consumer}
  - {id: claims, department: operations}
  - {id: lab}
credentials:
  - {id: key-claims, team: claims}
---
{kind: use_case, id: answers, owner: Ada}
---
{kind: use_case, id: reading, owner: Bob}
---
{kind: budget, id: platform, limit: 100, period: month}
---
{kind: budget, id: claims-month, scope: {team: claims}, limit: 100, period: month}
---
{kind: budget, id: search-month, scope: {team: search}, limit: 100, period: month}
---
{kind: principal, id: fin, rights: [finance]}
---
{kind: principal, id: product-leads, rights: [manager], departments: [product]}
"""
SUBTREES = """\
kind: subtree
folder: product
owner: product-leads
departments: [product]
use_cases: [answers]
kinds: [budget, exception, acknowledgement, exception_rule, policy, use_case, directory, department]
---
{kind: subtree, folder: lab, owner: Grace, teams: [lab]}
"""
BUDGET = "kind: budget\nid: b\nlimit: 1\nperiod: day\n"
POLICY = "kind: policy\nid: p\nowner: o\nreason: r\nneeds_approval: true\n"
EXCEPTION = (
    "kind: exception\nid: e\njustification: j\nexpected_impact: i\nrequested_by: r\nrequested_at: 2026-11-01\n"
    "valid_from: 2026-11-01\nvalid_to: 2026-12-01\n"
)
RULE = "kind: exception_rule\nid: r\nverdict: deny\nowner: o\nreason: r\n"
ACK = "kind: acknowledgement\nid: {}\nperiod_start: 2026-11-01\n"
ACK += "decision: {{verdict: acknowledged, by: product-leads, at: 2026-11-02, via: review}}\n"
APPROVED = EXCEPTION + "budget: search-month\nextra: 1\n"
APPROVED += "decision: {verdict: approved, by: fin, at: 2026-11-02, via: review}\n"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path / "tree")
    files.write("root.yaml", ROOT)
    files.write("subtrees.yaml", SUBTREES)
    files.write("product/.keep", "")
    files.write("lab/.keep", "")
    return files


MAY = [
    f"{BUDGET}scope: {{team: search}}",
    f"{BUDGET}scope: {{team: shop, stage: production}}",
    f"{BUDGET}scope: {{department: consumer}}",
    f"{BUDGET}scope: {{use_case: answers}}",
    f"{EXCEPTION}budget: search-month\nextra: 1",
    f"{EXCEPTION}permits: {{models: [m], scope: {{department: product}}}}",
    ACK.format("search-month"),
    f"{RULE}budgets: [search-month]",
    f"{RULE}teams: [shop]",
    f"{POLICY}when: {{team: [search, shop]}}",
    f"{POLICY}when: {{department: [product, consumer]}}",
    "kind: directory\nmembers: [{user: eve, team: shop}]\nteams: [{id: fresh, department: consumer}]",
    "{kind: department, id: young, parent: consumer}",
]
MAY_NOT = [
    (f"{BUDGET}scope: {{team: claims}}", "5: scope: its scope, team claims, is not inside what they hold"),
    (BUDGET, "1: scope: its scope, platform, is not inside"),
    (f"{BUDGET}scope: {{stage: production}}", "5: scope: its scope, stage production, is not inside"),
    (f"{BUDGET}scope: {{use_case: reading}}", "5: scope: its scope, use case reading, is not inside"),
    (f"{EXCEPTION}budget: claims-month\nextra: 1", "1: budget claims-month is not theirs"),
    (f"{EXCEPTION}permits: {{models: [m], scope: {{team: lab}}}}", "1: its scope, team lab, is not inside"),
    (ACK.format("platform").replace("by: product-leads", "by: fin"), "2: id: budget platform is not theirs"),
    (APPROVED, "11: decision.by: a file of this folder does not prove that fin decided: let fin sign it, or let it"),
    (
        ACK.format("search-month").replace("by: product-leads", "by: fin"),
        "4: decision.by: a file of this folder does not prove that fin decided",
    ),
    (RULE, "1: it decides for every budget: name theirs"),
    (f"{RULE}budgets: [search-month, platform]", "1: budget platform is not theirs"),
    (POLICY, "1: when: its `when` reaches beyond what they hold"),
    (f"{POLICY}when: {{team: [search, claims]}}", "6: when: its `when` reaches beyond"),
    ("kind: directory\nmembers: [{user: eve, team: claims}]", "2: team claims is not theirs"),
    ("kind: directory\nteams: [{id: fresh, department: operations}]", "2: teams: department operations is not theirs"),
    ("kind: department\nid: young", "1: parent: department young lies below nothing, not below one of theirs"),
    ("kind: department\nid: young\nparent: operations", "3: parent: department young lies below operations, not"),
    ("kind: use_case\nid: other\nowner: o", "2: id: use case other is not theirs"),
    ("kind: principal\nid: boss\nrights: [finance]", "1: kind: principal documents are not left to this folder"),
    ("kind: model\nid: m\nmodel_class: c", "1: kind: model documents are not left to this folder"),
]


@pytest.mark.parametrize("text", MAY)
def test_what_lies_within_may_be_defined(files: Files, text: str) -> None:
    files.write("product/f.yaml", text + "\n")
    assert files.plan().changes


@pytest.mark.parametrize(("text", "problem"), MAY_NOT, ids=[problem for _, problem in MAY_NOT])
@pytest.mark.parametrize("alone", [False, True], ids=["with the tree", "alone"])
def test_what_lies_beyond_is_refused_with_its_owner(files: Files, text: str, problem: str, alone: bool) -> None:
    current = files.snapshot()
    files.write("product/f.yaml", text + "\n")
    names = ["product/f.yaml"] if alone else []
    problems = files.problems(b"a-key-of-16-bytes-or-more", current, *names)
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"product/f.yaml:{problem}")
    assert (
        "; product belongs to product-leads, who holds department product and use case answers: ask whoever holds it, "
        "or define it there" in problems[0]
    )


@pytest.mark.parametrize("alone", [False, True], ids=["with the tree", "alone"])
def test_a_link_in_a_folder_is_its_owners_wherever_it_leads(files: Files, alone: bool) -> None:
    beyond = files.folder.parent / "beyond.yaml"
    beyond.write_text(BUDGET)
    (files.folder / "product" / "f.yaml").symlink_to(beyond)
    names = ["product/f.yaml"] if alone else []
    [problem] = files.problems(None, None, *names)
    assert problem.startswith("product/f.yaml:1: scope: its scope, platform, is not inside")


def test_a_link_to_a_file_in_a_folder_is_that_owners(files: Files) -> None:
    files.write("product/f.txt", BUDGET)
    (files.folder / "linked.yaml").symlink_to(files.folder / "product" / "f.txt")
    [problem] = files.problems(None)
    assert problem.startswith("linked.yaml:1: scope: its scope, platform, is not inside")


def test_what_is_in_force_elsewhere_cannot_be_taken_over(files: Files) -> None:
    """A team, a credential or a budget of others does not become theirs by being defined under their own name."""
    current = files.snapshot()
    (files.folder / "root.yaml").unlink()
    files.write("product/f.yaml", "kind: budget\nid: claims-month\nscope: {team: search}\nlimit: 1\nperiod: month\n")
    [problem] = files.problems(None, current, "product/f.yaml")
    assert problem.startswith(
        "product/f.yaml:2: id: budget/claims-month is in force and not theirs to change (its scope,"
    )
    files.write("product/f.yaml", "kind: directory\ncredentials: [{id: key-claims, team: search}]\n")
    [problem] = files.problems(None, current, "product/f.yaml")
    assert "sender/credential/key-claims is in force and not theirs to change (team claims is not theirs)" in problem
    files.write("product/f.yaml", "kind: directory\nteams: [{id: claims, department: product}]\n")
    [problem] = files.problems(None, current, "product/f.yaml")
    assert "team/claims is in force and not theirs to change (department operations is not theirs)" in problem
    files.write("product/f.yaml", "kind: department\nid: operations\nparent: product\n")
    [problem] = files.problems(None, current, "product/f.yaml")
    assert "department/operations is in force and not theirs to change" in problem


def test_the_deepest_folder_rules(files: Files) -> None:
    files.write("subtrees.yaml", SUBTREES + "---\n{kind: subtree, folder: product/shop, owner: Sam, teams: [shop]}\n")
    files.write("product/shop/f.yaml", f"{BUDGET}scope: {{team: search}}\n")
    [problem] = files.problems()
    assert "product/shop belongs to Sam, who holds team shop" in problem


def test_one_id_in_two_files_of_the_tree_is_found_when_one_is_applied(files: Files) -> None:
    current = files.snapshot()
    files.write("product/f.yaml", f"{BUDGET}scope: {{team: search}}\n".replace("id: b", "id: search-month"))
    [problem] = files.problems(None, current, "product/f.yaml")
    assert problem.startswith("product/f.yaml:2: id: budget/search-month is defined twice; the other is at root.yaml:")


def test_prune_from_a_folder_takes_only_what_its_owner_holds(files: Files) -> None:
    files.write("product/f.yaml", f"{BUDGET}scope: {{team: search}}\n")
    files.write("product/g.yaml", f"{BUDGET}scope: {{team: shop}}\n".replace("id: b", "id: c"))
    current = files.snapshot()
    (files.folder / "product/g.yaml").unlink()
    pruned = files.plan(current, "product", prune=True)
    assert [(one.action, one.key) for one in pruned.changes] == [
        ("delete", "budget/c"),
        ("delete", "budget/search-month"),
    ]
    assert files.plan(current, prune=True).changes[0].key == "budget/c"
    assert len(files.plan(current, prune=True).changes) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{kind: subtree, folder: nowhere, owner: o}", "subtrees.yaml:1: folder: there is no folder 'nowhere' here"),
        ("{kind: subtree, folder: .., owner: o}", "subtrees.yaml:1: folder: '..' is not below the folder of this file"),
        ("{kind: subtree, folder: ., owner: o}", "subtrees.yaml:1: folder: '.' is not below the folder of this file"),
        ("{kind: subtree, folder: product}", "subtrees.yaml:1: owner: is missing"),
        ("kind: subtree\nfolder: product\nowner: o\nkinds: [price]", "subtrees.yaml:4: kinds.0: input should be"),
        ("{kind: subtree, folder: lab, owner: o}\n---\n{kind: subtree, folder: lab, owner: p}",
         "subtrees.yaml:3: folder: 'lab' has an owner already: o"),
    ],
)  # fmt: skip
def test_owners_that_make_no_sense(files: Files, text: str, problem: str) -> None:
    files.write("subtrees.yaml", text + "\n")
    assert any(one.startswith(problem) for one in files.problems()), files.problems()


def test_nobody_below_makes_themselves_an_owner(files: Files) -> None:
    files.write("product/subtrees.yaml", "kind: subtree\nfolder: mine\nowner: me\ndepartments: [operations]\n")
    files.write("product/mine/f.yaml", f"{BUDGET}scope: {{team: claims}}\n")
    problems = files.problems(None, files.snapshot(None, "root.yaml"), "product")
    assert any("owners of folders stand in subtrees.yaml alone: move it there" in one for one in problems), problems
    [problem] = files.problems(None, files.snapshot(None, "root.yaml"), "product/mine/f.yaml")
    assert "product belongs to product-leads" in problem
