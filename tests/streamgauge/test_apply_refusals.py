"""Everything that is refused, by file, line and field, with a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.streamgauge.applying import Files

#: A house that stands: what each refusal below adds one document to.
HOUSE = """\
kind: department
id: product
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
members:
  - {user: ada@example.com, team: search, role: engineer}
  - {user: bob@example.com, team: claims}
---
{kind: model, id: gpt-*, model_class: frontier, approved_for: [internal]}
---
{kind: use_case, id: answers, owner: Ada, teams: [search], stage: production, criticality: high, data_class: internal}
---
{kind: budget, id: search-month, scope: {team: search}, limit: 100, period: month}
---
{kind: principal, id: fin, rights: [finance]}
---
{kind: principal, id: ops-lead, rights: [manager, platform], departments: [operations]}
---
{kind: principal, id: search-lead, rights: [manager], teams: [search]}
"""

BUDGET = "kind: budget\nid: b\nlimit: 10\nperiod: month\nscope:\n"
SPAN = "kind: budget\nid: b\nlimit: 10\nperiod: span\n"
POLICY = "kind: policy\nid: p\nowner: o\nreason: r\n"
EXCEPTION = """\
kind: exception
id: e
budget: search-month
extra: 50
justification: launch
expected_impact: more sales
requested_by: search-lead
requested_at: 2026-11-10
valid_from: 2026-11-10
valid_to: 2026-12-01
"""
PERMIT = EXCEPTION.replace("budget: search-month\nextra: 50\n", "permits:\n  models: [gpt-5]\n  scope:\n    {scope}\n")
DECISION = "decision:\n  verdict: approved\n  at: 2026-11-11\n  via: {via}\n  by: {by}\n"
ACTIVITY = """\
kind: activity
id: load-test
scope: {scope}
what: load test before the launch
owner: Ada
starts_at: 2026-11-20T22:00Z
ends_at: 2026-11-21T18:00Z
"""
ACK = """\
kind: acknowledgement
id: search-month
period_start: {start}
level: {level}
decision: {{verdict: acknowledged, at: 2026-11-11, via: review, by: {by}}}
"""
ONE_EACH = "one document is one budget, with one limit for all that its scope selects: write one document each"
SERVED = (
    "Served are department, team, project, use_case, workflow, user, role, stage, model_class, criticality, data_class"
)

REFUSED = [
    # Selectors that no sum is kept by.
    (
        f"{BUDGET}  credential: k",
        "6: scope.credential: budgets cannot be cut by credential, because no sum is kept by it: ",
    ),
    (
        f"{BUDGET}  model: gpt-5",
        "6: scope.model: budgets cannot be cut by model, because no sum is kept by it: put the model",
    ),
    (f"{BUDGET}  provider: openai", "6: scope.provider: budgets cannot be cut by provider,"),
    (
        f"{BUDGET}  application: crm",
        "6: scope.application: budgets cannot be cut by application, because no sum is kept by ",
    ),
    (f"{BUDGET}  source: gw", "6: scope.source: budgets cannot be cut by source,"),
    (f"{BUDGET}  cost_center: c1", "6: scope.cost_center: budgets cannot be cut by cost_center,"),
    (
        f"{BUDGET}  session_id: s",
        "6: scope.session_id: budgets cannot be cut by session_id, because no sum is kept by it. ",
    ),
    (f"{BUDGET}  team_id: search", "6: scope.team_id: is not a field here; did you mean team?"),
    (f"{BUDGET}  colour: red", "6: scope.colour: is not a field here; budgets can be cut by department, team"),
    (f"{BUDGET}  within: [product]", "6: scope.within: is filled in by `streamgauge apply`: name the department alone"),
    # One budget that would be many.
    (f"{BUDGET}  {{}}\nper: user", f"7: per: is not a field here: {ONE_EACH}"),
    (f"{BUDGET}  per_team: true", f"6: scope.per_team: is not a field here: {ONE_EACH}"),
    (f"{BUDGET}  team: '*'", f"6: scope.team: '*' is nobody's name; {ONE_EACH}"),
    (f"{BUDGET}  user: '*'", f"6: scope.user: '*' is nobody's name; {ONE_EACH}"),
    # Values.
    (
        "kind: budget\nid: b\nlimit: 0\nperiod: day",
        "3: limit: must be above zero; to forbid use altogether write a policy",
    ),
    ("kind: budget\nid: b\nlimit: -5\nperiod: day", "3: limit: must be above zero"),
    ("kind: budget\nid: b\nlimit: 5\nplan: 0\nperiod: day", "4: plan: must be above zero (it is 0)"),
    (EXCEPTION.replace("50", "0"), "4: extra: must be above zero (it is 0)"),
    ("kind: budget\nid: b\nlimit: 5\nperiod: day\nlevels: {warning: 2}", "5: levels: levels must rise: warning 2"),
    (
        "kind: budget\nid: b\nlimit: 5\nperiod: day\ntime_zone: Mars/Base",
        "5: time_zone: time zone 'Mars/Base' is not known",
    ),
    (
        f"{SPAN}starts_at: 2026-01-01\nends_at: 2026-11-01",
        "6: ends_at: this span is over since 2026-11-01T00:00:00+00:00, ",
    ),
    (f"{SPAN}starts_at: 2026-03-01\nends_at: 2026-02-01", "1: ends_at 2026-02-01T00:00:00+00:00 is not after"),
    # Names that nobody defines.
    (f"{BUDGET}  team: serch", "6: scope.team: team 'serch' is not defined; did you mean 'search'?"),
    (f"{BUDGET}  use_case: answer", "6: scope.use_case: use case 'answer' is not defined; did you mean 'answers'?"),
    (
        f"{BUDGET}  department: produkt",
        "6: scope.department: department 'produkt' is not defined; did you mean 'product'?",
    ),
    (f"{BUDGET}  role: enginer", "6: scope.role: role 'enginer' is not defined; did you mean 'engineer'?"),
    (f"{BUDGET}  model_class: frontir", "6: scope.model_class: model class 'frontir' is not defined"),
    (
        f"{BUDGET}  data_class: interna",
        "6: scope.data_class: data class 'interna' is not defined; did you mean 'internal'?",
    ),
    ("kind: department\nid: x\nparent: y", "3: parent: department 'y' is not defined"),
    (
        "kind: directory\nteams:\n  - {id: t, department: produkt}",
        "3: department: department 'produkt' is not",
    ),
    (
        "kind: directory\nsources:\n  - {id: gw, team: search, use_case: nope}",
        "3: use_case: use case 'nope' is not defined",
    ),
    ("kind: use_case\nid: u\nowner: o\nteams: [search, serch]", "4: teams.1: team 'serch' is not defined"),
    ("kind: principal\nid: x\nrights: [finance]\nteams: [serch]", "4: teams.0: team 'serch' is not defined"),
    (f"{POLICY}required_fields: [workflow]\nwhen:\n  team: [serch]", "7: when.team.0: team 'serch' is not defined"),
    (f"{POLICY}required_fields: [workflow]\nwhen:\n  role: [boss]", "7: when.role.0: role 'boss' is not defined"),
    (EXCEPTION.replace("search-month", "serch-month"), "3: budget: budget 'serch-month' is not defined; did you mean"),
    (PERMIT.format(scope="team: serch"), "6: permits.scope.team: team 'serch' is not defined"),
    (f"{EXCEPTION}data_class: secret", "11: data_class: data class 'secret' is not defined"),
    (
        "kind: exception_rule\nid: r\nverdict: deny\nbudgets: [nope]\nowner: o\nreason: r",
        "4: budgets.0: budget 'nope' is",
    ),
    # Budgets that nothing can match.
    (
        f"{BUDGET}  team: claims\n  department: product",
        "6: scope.team: team claims stands in operations, never in product or ",
    ),
    (
        f"{BUDGET}  team: claims\n  use_case: answers",
        "7: scope.use_case: use case answers is for search, not for claims",
    ),
    (
        f"{BUDGET}  use_case: answers\n  stage: exploratory",
        "7: scope.stage: use case answers is production by its document",
    ),
    (
        f"{BUDGET}  use_case: answers\n  criticality: low",
        "7: scope.criticality: use case answers is of criticality high",
    ),
    (f"{BUDGET}  criticality: critical", "6: scope.criticality: no use case is of criticality critical"),
    (
        f"{BUDGET}  user: bob@example.com\n  role: engineer",
        "7: scope.role: the directory does not give this person the role",
    ),
    (
        "kind: department\nid: empty\n---\n" + f"{BUDGET}  department: empty",
        "9: scope.department: no team stands in department ",
    ),
    # People.
    (
        "kind: budget\nid: ada@example.com\nlimit: 1\nperiod: day\nscope: {user: ada@example.com}",
        "2: id: names the person that the budget is about",
    ),
    ("kind: principal\nid: x\nrights: [finance]\npublic_key: ssh-rsa AAAA", "4: public_key: "),
    # Decisions by somebody without the right.
    (EXCEPTION + DECISION.format(via="review", by="nobody"), "15: decision.by: nobody is no principal"),
    (
        EXCEPTION + DECISION.format(via="review", by="search-lead"),
        "15: decision.by: search-lead has not the right for team ",
    ),
    (
        EXCEPTION + DECISION.format(via="review", by="ops-lead"),
        "15: decision.by: ops-lead has not the right for team search",
    ),
    (
        EXCEPTION + DECISION.format(via="rule", by="rule/x"),
        "14: decision.via: a rule decides by itself when it is asked",
    ),
    (EXCEPTION + DECISION.format(via="signature", by="fin"), "11: decision.signature: fin has no public key"),
    (EXCEPTION.replace("2026-12-01", "2026-11-01"), "1: valid_to 2026-11-01T00:00:00+00:00 is not after valid_from"),
    (ACK.format(start="2026-11-01", level="soft", by="ops-lead"), "5: decision.by: ops-lead has not the right"),
    (ACK.format(start="2026-11-01", level="hard", by="search-lead"), "5: decision.by: search-lead has not the right"),
    (
        ACK.format(start="2026-11-02", level="soft", by="fin"),
        "3: period_start: no period of budget search-month starts then: ",
    ),
    (
        ACK.format(start="2026-11-01", level="soft", by="fin").replace("search-month", "nope"),
        "2: id: budget 'nope' is not",
    ),
    (
        (EXCEPTION + DECISION.format(via="review", by="fin")).replace("at: 2026-11-11", "at: 2099-01-01"),
        "13: decision.at: 2099-01-01T00:00:00+00:00 is still to come: write when it was decided",
    ),
    # Policies that contradict themselves.
    (
        f"{POLICY}allow: {{models: [a, gpt-5]}}\nforbid:\n  models: [gpt-*]",
        "5: allow.models.1: this policy names 'gpt-5' here ",
    ),
    (
        f"{POLICY}discourage:\n  providers: [x]\nforbid:\n  providers: [x]",
        "6: discourage.providers.0: this policy names 'x' ",
    ),
    (f"{POLICY}allow: {{}}", "5: allow: names no model and no provider, so it would forbid everything"),
    (
        f"{POLICY}required_fields: [work_flow]",
        "5: required_fields.0: 'work_flow' is not a field of a usage event; did you mean",
    ),
    (POLICY, "1: a policy says something"),
    # Kinds.
    ("kind: feedback\nid: x", "1: kind: feedback stands in no file: what people say of alerts comes by "),
    # Planned activities.
    (ACTIVITY.format(scope="{team: nobody}"), "3: scope.team: team 'nobody' is not defined"),
    (ACTIVITY.format(scope="{use_case: answer}"), "3: scope.use_case: use case 'answer' is not defined; did you mean"),
    (ACTIVITY.format(scope="{department: sales}"), "3: scope.department: department 'sales' is not defined"),
    (ACTIVITY.format(scope="{stage: production}"), "3: scope.stage: rises are told by department, team and use case"),
    (
        ACTIVITY.format(scope="{user: ada@example.com}"),
        "3: scope.user: rises are told by department, team and use case",
    ),
    (ACTIVITY.format(scope="{department: product, within: [product]}"), "3: scope.within: is filled in by "),
    (ACTIVITY.format(scope="{tem: search}"), "3: scope.tem: is not a field here; did you mean team?"),
    (ACTIVITY.format(scope="{team: claims, department: product}"), "3: scope.team: team claims stands in operations"),
    (
        ACTIVITY.format(scope="{team: search}").replace("2026-11-21T18:00Z", "2026-11-20"),
        "7: ends_at: 2026-11-20T00:00:00+00:00 is not after starts_at 2026-11-20T22:00:00+00:00",
    ),
    (ACTIVITY.format(scope="{team: search}").replace("T22:00Z", " 22:00"), "6: starts_at: "),
    (ACTIVITY.format(scope="{team: search}").replace("owner: Ada\n", ""), "1: owner: is missing"),
    ("kind: subtree\nfolder: x\nowner: o", "1: kind: owners of folders stand in the file subtrees.yaml"),
]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.write("house.yaml", HOUSE)
    return files


def test_the_house_itself_is_fine(files: Files) -> None:
    assert len(files.plan().changes) == 14


@pytest.mark.parametrize(("text", "problem"), REFUSED, ids=[problem.split(": ")[1] for _, problem in REFUSED])
def test_refused_with_line_and_field(files: Files, text: str, problem: str) -> None:
    files.write("f.yaml", text + "\n")
    problems = files.problems()
    assert any(one.startswith(f"f.yaml:{problem}") for one in problems), problems


def test_the_same_document_with_the_fault_mended_is_taken(files: Files) -> None:
    files.write("f.yaml", EXCEPTION + DECISION.format(via="review", by="fin"))
    files.write("g.yaml", ACK.format(start="2026-11-01", level="soft", by="search-lead"))
    files.write("h.yaml", ACK.replace("id: search-month", "id: b").format(start="2026-11-01", level="hard", by="fin"))
    files.write("i.yaml", f"{BUDGET}  department: product\n  role: engineer\n")
    files.write("j.yaml", f"{POLICY}allow: {{models: [gpt-*]}}\nforbid: {{models: [gpt-5*]}}\n")
    assert len(files.plan().changes) == 19


def test_a_circle_of_departments_is_told_as_one(files: Files) -> None:
    files.write(
        "f.yaml",
        "{kind: department, id: a, parent: c}\n---\n{kind: department, id: b, parent: a}\n---\n"
        "kind: department\nid: c\nparent: b\n",
    )
    [problem] = files.problems()
    assert problem.startswith("f.yaml:1: parent: departments lie in a circle, a below c below b below a: one of them")


def test_a_circle_with_what_is_in_force_is_found(files: Files) -> None:
    current = files.snapshot()
    files.write("f.yaml", "kind: department\nid: product\nparent: consumer\n")
    [problem] = files.problems(None, current, "f.yaml")
    assert problem.startswith("f.yaml:3: parent: departments lie in a circle, consumer below product below consumer")


def test_people_are_named_only_with_a_key(files: Files) -> None:
    files.write("f.yaml", "kind: budget\nid: b\nlimit: 1\nperiod: day\nscope:\n  user: ada@example.com\n")
    problems = files.problems(None, None, "f.yaml")
    assert [one.split(": ")[:2] for one in problems] == [["f.yaml:6", "scope.user"]]
    assert "STREAMGAUGE_ENRICH__USER_KEY" in problems[0]
    assert files.problems(None)[1].split(": ", 2)[2] == problems[0].split(": ", 2)[2], (
        "members need it in the same words"
    )
    record = files.plan().applied_to(files.snapshot()).budgets["b"]
    assert "ada" not in record.model_dump_json()


def test_a_span_that_ended_since_it_was_applied_is_no_problem(files: Files) -> None:
    files.write("f.yaml", f"{SPAN}starts_at: 2026-11-01\nends_at: 2026-12-01\n")
    current = files.snapshot()
    from streamgauge.apply import make_plan

    later_us = 1_800_000_000_000_000
    assert make_plan(files.load(), current, now_us=later_us).changes == ()


def test_a_house_that_keeps_no_lists_may_budget_by_what_events_say(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.write(
        "f.yaml", f"{BUDGET}  team: any\n  use_case: any\n  workflow: any\n  project: any\n  stage: production\n"
    )
    assert len(files.plan().changes) == 1
    files.write("f.yaml", f"{BUDGET}  department: any\n  model_class: any\n  role: any\n")
    assert [one.split(": ")[1] for one in files.problems()] == ["scope.department", "scope.model_class", "scope.role"]


def test_a_limit_under_an_enforced_one_is_noted(files: Files) -> None:
    files.write(
        "f.yaml",
        "kind: budget\nid: top\nscope: {department: product}\nlimit: 50\nperiod: month\nmode: enforce\n"
        "---\nkind: budget\nid: low\nscope: {department: product, stage: production}\nlimit: 100\nperiod: month\n",
    )
    [note] = files.plan().notes
    assert note.startswith("budget low can hardly warn: budget top, which counts all that it counts, stops at 60.0 usd")
    assert note.endswith("its own warning begins at 80.0")
