"""What a call is told, by what its budgets stand at: every state in every mode, what is not known, what is stale."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from schemas.control.base import moment_us
from schemas.control.budgets import Budget, Mode, Scope
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from schemas.pseudonym import hash_user
from streamgauge.checking.answer import Answer, Decision
from streamgauge.checking.config import CheckConfig
from streamgauge.checking.judge import Known, answer
from streamgauge.checking.question import Estimate, Question
from tests.streamgauge.checking.support import KEY, NOW, NOW_US, known_of, monthly, record_of, status_of

SEARCH = Team(id="search", terms=(TeamTerm(department="retail"),))
CALL = Question(team_id="search", model="gpt-4o")


def ask(known: Known, question: Question = CALL, config: CheckConfig | None = None, at_us: int = NOW_US) -> Answer:
    return answer(question, known, config or CheckConfig(), at_us)


TABLE: list[tuple[Mode, int, Decision, Decision | None]] = [
    ("observe", 10, "allow", None),
    ("observe", 80, "allow", "warn"),
    ("observe", 100, "allow", "needs_acknowledgement"),
    ("observe", 120, "allow", "stop"),
    ("warn", 10, "allow", None),
    ("warn", 80, "warn", None),
    ("warn", 100, "warn", "needs_acknowledgement"),
    ("warn", 120, "warn", "stop"),
    ("enforce", 10, "allow", None),
    ("enforce", 80, "warn", None),
    ("enforce", 100, "needs_acknowledgement", None),
    ("enforce", 120, "stop", None),
]


@pytest.mark.parametrize(("mode", "used", "decision", "would"), TABLE)
def test_every_state_in_every_mode(mode: Mode, used: int, decision: Decision, would: Decision | None) -> None:
    budget = monthly("search-month", Scope(team="search"), mode)
    told = ask(known_of([SEARCH, budget], [status_of(budget, used)]), replace(CALL, explain=True))
    [reason] = told.reasons
    assert (told.decision, reason.decision, reason.would) == (decision, decision, would)
    assert (reason.used, reason.limit, reason.mode, reason.owner) == (used * 10**9, 100 * 10**9, mode, "Ada")
    assert told.budgets == 1
    quiet = ask(known_of([SEARCH, budget], [status_of(budget, used)]))
    assert len(quiet.reasons) == (used > 10), "what is in order is listed only for who asks"


@pytest.mark.parametrize(
    ("used", "level", "decision"),
    [(100, "soft", "warn"), (100, "hard", "warn"), (120, "soft", "stop"), (120, "hard", "warn")],
)
def test_an_acknowledgement_lets_its_level_go_on(used: int, level: str, decision: Decision) -> None:
    budget = monthly("search-month", Scope(team="search"))
    status = status_of(budget, used, acknowledged=level)  # type: ignore[arg-type]
    assert ask(known_of([SEARCH, budget], [status])).decision == decision


def test_the_gravest_of_all_matching_budgets_decides_and_others_are_not_looked_at() -> None:
    mine = [
        monthly("platform", mode="warn"),
        monthly("retail", Scope(department="retail", within=("retail", "shops"))),
        monthly("search", Scope(team="search")),
        monthly("search-production", Scope(team="search", stage="production")),
        monthly("sales", Scope(team="sales")),
        monthly("above", Scope(department="board", within=("board", "retail"))),
    ]
    used = {"platform": 120, "retail": 80, "search": 100, "search-production": 120, "sales": 120, "above": 10}
    told = ask(known_of([SEARCH, *mine], [status_of(one, used[one.id]) for one in mine]))
    assert told.decision == "needs_acknowledgement"
    assert [reason.id for reason in told.reasons] == ["search", "platform", "retail"]
    assert told.budgets == 4
    assert told.retry_after_s is None


def test_a_stop_says_when_the_period_ends() -> None:
    budget = monthly("search-month", Scope(team="search"))
    told = ask(known_of([SEARCH, budget], [status_of(budget, 130)]))
    assert told.retry_after_s == int((datetime(2026, 12, 1, tzinfo=UTC) - NOW).total_seconds())
    assert "search-month (team search, November 2026): $130.00 of $100.00 used, at its hard limit" in told.headline


UNKNOWN = "partition 3 was not asked yet"


@pytest.mark.parametrize("setting", ["warn", "stop"])
@pytest.mark.parametrize("case", ["said", "never told", "another rule", "no persons"])
def test_what_is_not_known_is_never_in_order(setting: str, case: str) -> None:
    config = CheckConfig(unknown=setting)  # type: ignore[arg-type]
    budget = monthly("b", Scope(team="search"))
    known = {
        "said": lambda: known_of([SEARCH, budget], [status_of(budget, 1, state="unknown", reason=UNKNOWN)]),
        "never told": lambda: known_of([SEARCH, budget]),
        "another rule": lambda: known_of([SEARCH, budget], [status_of(monthly("b", Scope(team="sales")), 1)]),
        "no persons": lambda: known_of([SEARCH, monthly("b", Scope(user=hash_user(KEY, "ann")))], personal=False),
    }[case]()
    told = ask(known, replace(CALL, user_id="ann"), config)
    [reason] = told.reasons
    assert (told.decision, reason.state) == (setting, "unknown")
    if case == "said":
        assert UNKNOWN in reason.text


def test_hard_is_hard_even_where_more_is_not_known() -> None:
    budget = monthly("b", Scope(team="search"))
    assert ask(known_of([budget], [status_of(budget, 130, state="hard", reason=UNKNOWN)])).decision == "stop"


def test_a_period_in_which_nothing_was_counted_begins_at_zero() -> None:
    """The month before was hard; its budget is known to the agents, so the new month is not unknown."""
    budget = monthly("b", Scope(team="search"))
    october = status_of(budget, 200, at=NOW - timedelta(days=30))
    told = ask(known_of([SEARCH, budget], [october]), replace(CALL, explain=True))
    assert [(reason.state, reason.used) for reason in told.reasons] == [("ok", 0)]
    changed = monthly("b", Scope(team="search", stage="production"))
    question = replace(CALL, stage="production")
    assert ask(known_of([SEARCH, changed], [october]), question).decision == "warn", "of another rule: not known"


def test_a_status_that_cannot_be_read_is_no_empty_period() -> None:
    budget = monthly("b", Scope(team="search"))
    known = known_of([SEARCH, budget], [status_of(budget, 1, at=NOW - timedelta(days=30))])
    key, _ = record_of(status_of(budget, 130))
    known.statuses.take(key, b'{"of": "a later version"}')
    [reason] = ask(known, CALL).reasons
    assert (reason.state, "cannot be read" in reason.text) == ("unknown", True)


def test_a_status_that_moved_to_another_topic_is_not_retired_by_the_one_it_left() -> None:
    """Both are read in any order when a budget becomes one person's."""
    budget = monthly("b", Scope(team="search"))
    key, value = record_of(status_of(budget, 130))
    known = known_of([SEARCH, budget])
    known.statuses.take(key, value, "persons")
    known.statuses.take(key, None, "shared")
    assert (ask(known, CALL).decision, len(known.statuses)) == ("stop", 1)
    known.statuses.take(key, None, "persons")
    assert (ask(known, CALL).decision, len(known.statuses)) == ("warn", 0)


def test_a_span_counts_inside_of_it_alone() -> None:
    days = {"starts_at": datetime(2026, 11, 1, tzinfo=UTC), "ends_at": datetime(2026, 11, 23, tzinfo=UTC)}
    budget = Budget(id="b", limit=Decimal(100), period="span", mode="enforce", **days)  # type: ignore[arg-type]
    known = known_of([budget], [status_of(budget, 130)])
    assert ask(known).decision == "stop"
    assert ask(known, at_us=moment_us(days["ends_at"])).budgets == 0


@pytest.mark.parametrize(
    ("used", "cost", "decision"),
    [("99", "0.5", "warn"), ("99", "1", "warn"), ("99", "1.01", "needs_acknowledgement"), ("99", "30", "stop")],
)
def test_an_estimate_is_judged_as_if_it_were_used(used: str, cost: str, decision: Decision) -> None:
    budget = monthly("b")
    question = replace(CALL, estimate=Estimate(cost_nanousd=int(Decimal(cost) * 10**9)))
    told = ask(known_of([budget], [status_of(budget, Decimal(used))]), question)
    assert told.decision == decision
    assert ("this call would bring" in told.headline) == (decision != "warn")


@pytest.mark.parametrize(("used", "stops"), [(119, False), (120, True)])
def test_a_budget_of_calls_allows_as_many_as_it_says(used: int, stops: bool) -> None:
    budget = Budget(id="b", limit=Decimal(100), unit="calls", period="day", mode="enforce")
    status = status_of(budget, 0).model_copy(update={"unit": "calls", "used": used})
    assert (ask(known_of([budget], [status])).decision == "stop") == stops


@pytest.mark.parametrize("setting", ["allow", "warn", "stop"])
@pytest.mark.parametrize("behind_s", [None, 10.1])
def test_stale_knowledge_says_so_and_goes_on(setting: str, behind_s: float | None) -> None:
    budget = monthly("b", mode="observe")
    config = CheckConfig(stale=setting)  # type: ignore[arg-type]
    told = ask(known_of([budget], [status_of(budget, 1)], behind_s=behind_s), config=config)
    assert told.decision == setting
    assert told.freshness.stale
    assert "stale" in [reason.id for reason in told.reasons]
    stops = monthly("b")
    if behind_s is not None:
        assert ask(known_of([stops], [status_of(stops, 130)], behind_s=behind_s), config=config).decision == "stop"


def test_agents_that_fall_silent_make_it_stale_where_that_is_asked_for() -> None:
    budget = monthly("b")
    known = known_of([budget], [status_of(budget, 1, at=NOW - timedelta(seconds=90))])
    assert not ask(known).freshness.stale
    assert ask(known, config=CheckConfig(silent_after_s=60)).freshness.stale
    assert not ask(known, config=CheckConfig(silent_after_s=100)).freshness.stale
    fresh = ask(known).freshness
    assert (fresh.read_behind_s, fresh.watermark) == (0.2, (NOW - timedelta(seconds=90)).isoformat())


def test_a_person_who_cannot_be_recognised_is_said() -> None:
    mine = Scope(user=hash_user(KEY, "ann"))
    budget = monthly("ann", mine)
    known = known_of([budget], [status_of(budget, 130)])
    assert ask(known, replace(CALL, user_id="ann")).decision == "stop"
    assert ask(known, replace(CALL, user_hash=hash_user(KEY, "ann"))).decision == "stop"
    assert ask(known, replace(CALL, user_id="bob")).decision == "allow"
    blind = ask(known_of([budget], [status_of(budget, 130)], key=None), replace(CALL, user_id="ann"))
    assert (blind.decision, [reason.id for reason in blind.reasons]) == ("warn", ["person"])
    told = ask(known, replace(CALL, user_id="ann"))
    assert "user_hash" not in told.resolved
    assert "one person" in told.headline


def test_a_claim_against_the_directory_loses_and_is_told() -> None:
    key = Sender(sender="credential", id="key-1", terms=(Membership(team="search", stage="production"),))
    mine, others = monthly("search", Scope(team="search", stage="production")), monthly("sales", Scope(team="sales"))
    known = known_of([SEARCH, key, mine, others], [status_of(mine, 130), status_of(others, 1)])
    told = ask(known, Question(team_id="sales", stage="exploratory", credential_id="key-1"))
    assert told.decision == "stop"
    assert told.lost == {"team_id": "sales", "stage": "exploratory"}
    assert told.resolved["department"] == "retail"
