"""What is told of an episode: the usual incident, what carries it, whose it is, in words for each of its states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.alerts import Alert, Incident
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Scope
from schemas.control.snapshot import ControlSnapshot
from schemas.control.use_cases import UseCase
from streams.agents.spikes.explain.known import Known
from streams.agents.spikes.finding import Finding, Series, Usage, Why
from streams.agents.spikes.texts import spike_alert
from tests.streams.agents.samples import control
from tests.streams.agents.spikes.findings import AT, finding, usage

NOTHING = ControlSnapshot()
USUAL = usage(100)


def told(one: Finding, snapshot: ControlSnapshot = NOTHING, known: Known | None = None) -> Alert:
    alert = spike_alert(one, snapshot, AT) if known is None else spike_alert(one, snapshot, AT, known)
    assert Alert.model_validate_json(alert.model_dump_json()) == alert
    return alert


def in_classes(**classes: tuple[float, float]) -> Usage:
    return replace(USUAL, cost=sum(cost for _, cost in classes.values()), classes=classes)


TOKENS = USUAL.tokens
CHEAP = in_classes(small=(TOKENS, 1e9))
CASES: list[tuple[Usage, Usage, Incident]] = [
    (USUAL, usage(700), "runaway_loop"),
    (USUAL, usage(250), "volume"),
    (USUAL, usage(500, errors=0.8), "retry_storm"),
    (USUAL, usage(100, inputs=21_000), "prompt_bloat"),
    (USUAL, usage(100, outputs=2500), "output_growth"),
    (USUAL, usage(100, cached=0.0), "cache_collapse"),
    (USUAL, usage(100, cost=5 * USUAL.cost, classes={"standard": (TOKENS, 5 * USUAL.cost)}), "price_change"),
    (CHEAP, in_classes(small=(0.1 * TOKENS, 1e8), frontier=(0.9 * TOKENS, 18e9)), "model_switch"),
    (usage(0, errors=0), usage(40), "runaway_loop"),
    (USUAL, usage(90), "unknown"),
]


@pytest.mark.parametrize(("before", "after", "incident"), CASES)
def test_the_incident_is_named_from_the_sums(before: Usage, after: Usage, incident: Incident) -> None:
    alert = told(finding(before, after))
    assert alert.incident == incident
    assert sum(cause.delta for cause in alert.explanation) == alert.observed - (alert.expected or 0) == alert.impact
    assert sum(cause.share for cause in alert.explanation) + (alert.unexplained_share or 0) == pytest.approx(1)
    assert alert.impact_per_day == round(24 * 4 * (after.cost - before.cost))
    assert alert.suggested_action


def test_calls_that_rose_everywhere_are_no_loop() -> None:
    parts = {name: (usage(50), usage(350)) for name in ("triage", "answers")}
    assert told(finding(USUAL, usage(700), parts=parts)).incident == "volume"


def test_what_carries_it_adds_up_within_each_dimension() -> None:
    after = usage(520)
    parts = {"triage": (usage(60), usage(450)), "answers": (usage(40), usage(50)), "chat": (usage(0), usage(20))}
    half = after.cost / 2
    after = replace(after, classes={"standard": (1e5, half), "frontier": (1e5, half)})
    alert = told(finding(USUAL, after, parts=parts))
    named = [(cause.dimension, cause.factor, round(cause.share, 3)) for cause in alert.carried_by]
    assert named == [
        ("use_case", "triage", 0.929),
        ("model_class", "frontier", 0.619),
        ("model_class", "standard", 0.381),
    ]
    assert alert.uncarried_share == pytest.approx(1 - 390 / 420)
    assert told(finding(USUAL, usage(90))).uncarried_share == 1


LOOP = (
    "it looks like a runaway loop or an agent left on (5.0 times as many calls as usual), 95% of it in use case triage"
)
COST = "$3.18 extra so far, $305.28 a day if it goes on"
SENTENCES: dict[Why, tuple[str, str]] = {
    "began": ("firing", f"Team search spends 5.0 times its usual since 03:05 UTC: {LOOP}; {COST}."),
    "early": (
        "firing",
        (
            "Team search has spent 5.0 times its usual since 03:05 UTC in a few minutes that are not over yet: "
            f"{LOOP}; {COST}."
        ),
    ),
    "grown": ("updated", f"Team search still spends 5.0 times its usual since 03:05 UTC: {LOOP}; {COST}."),
    "over": (
        "resolved",
        (
            "Team search's rise since 03:05 UTC is over: from then until 03:20 UTC it spent 5.0 times its usual, $3.18 "
            "extra; it looked like a runaway loop (5.0 times as many calls as usual), 95% of it in use case triage."
        ),
    ),
    "adopted": (
        "resolved",
        (
            "Team search's rise since 03:05 UTC has become the new usual: $305.28 a day more, 5.0 times its usual of "
            f"before; {LOOP}."
        ),
    ),
    "merged": (
        "resolved",
        "Team search's rise since 03:05 UTC is part of a wider one of team search, which is told on.",
    ),
}


@pytest.mark.parametrize("why", SENTENCES)
def test_each_state_has_its_words(why: Why) -> None:
    state, sentence = SENTENCES[why]
    parts = {"triage": (usage(60), usage(440)), "answers": (usage(40), usage(60))}
    alert = told(finding(USUAL, usage(500), parts=parts, why=why, revision=3))
    assert (alert.state, alert.summary, alert.revision) == (state, sentence, 3)
    assert (alert.suggested_action == "None.") == (state == "resolved")


@pytest.mark.parametrize(
    ("said", "state", "begins"),
    [
        ("acknowledged", "updated", "Somebody is on it:"),
        ("expected", "resolved", "Expected,"),
        ("noise", "resolved", "Noise,"),
    ],
)
def test_what_people_said_stands_in_front(said: Any, state: str, begins: str) -> None:
    alert = told(finding(USUAL, usage(500), why="said", said=said))
    assert (alert.state, alert.said) == (state, said)
    assert alert.summary.startswith(begins)
    assert told(finding(USUAL, usage(500), why="over", said=said)).said == said


def test_what_is_planned_pages_nobody() -> None:
    migration = PlannedActivity(
        id="reindex", scope=Scope(team="search"), what="All documents are read again", owner="Ada",
        starts_at="2026-11-20T00:00:00Z", ends_at="2026-11-21T00:00:00Z",  # type: ignore[arg-type]
    )  # fmt: skip
    alert = told(finding(USUAL, usage(500), activity="reindex"), control(migration))
    assert (alert.severity, alert.incident, alert.activity, alert.pages) == (
        "info",
        "planned_activity",
        "reindex",
        False,
    )
    assert alert.summary.endswith("Planned until 21 Nov 00:00 UTC: All documents are read again.")


def test_a_use_case_is_named_with_its_owner_and_night_with_its_day() -> None:
    owner = UseCase(id="triage", owner="Grace", contact="#triage")
    one = finding(USUAL, usage(500), series=Series("search", "triage"), since_us=AT - 5 * 3_600_000_000)
    alert = told(one, control(owner))
    assert alert.summary.startswith("Use case triage of team search spends 5.0 times its usual since 19 Nov 22:05 UTC:")
    assert (alert.scope.team, alert.scope.use_case, alert.owner, alert.contact) == (
        "search",
        "triage",
        "Grace",
        "#triage",
    )
    assert "AND use_case = 'triage'" in alert.links[0].href


def test_where_nothing_was_usual_no_ratio_is_told() -> None:
    assert "spends $0.32 where hardly anything is usual since" in told(finding(usage(0, errors=0), usage(40))).summary


@pytest.mark.parametrize(
    ("known", "ends"),
    [
        (Known("nobody"), "if it goes on."),
        (Known("asked"), "if it goes on. Single calls are being looked into."),
        (Known("away"), "if it goes on. ClickHouse was away or behind: this is from the stream's sums alone."),
    ],
)
def test_it_says_where_it_comes_from(known: Known, ends: str) -> None:
    assert told(finding(USUAL, usage(500)), known=known).summary.endswith(ends)


def test_the_runbook_is_that_of_the_incident() -> None:
    one = finding(USUAL, usage(100, cached=0.0))
    alert = spike_alert(one, NOTHING, AT, Known(), "https://runbooks.example/{incident}")
    assert [link.href for link in alert.links if link.rel == "runbook"] == ["https://runbooks.example/cache_collapse"]
