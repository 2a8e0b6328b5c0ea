"""What a dry run says of today's states is what the arithmetic of the documents gives; and it is readable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import AlertScope
from schemas.control.base import us_moment
from schemas.control.budgets import Budget, Scope
from schemas.control.decisions import Decision
from schemas.control.exceptions import ExceptionGrant
from schemas.control.principals import Principal
from schemas.control.records import ControlRecord, record_key
from schemas.status import AsOf, BudgetStatus, StatusPeriod
from streamgauge.apply import Change, Plan
from streamgauge.apply.effects import Effect, effects_of
from streamgauge.apply.telling import as_data, told
from tests.streamgauge.applying import NOW_US, in_force

NOW = us_moment(NOW_US)
FIN = Principal(id="fin", rights=("finance",))


def budget(**changes: Any) -> Budget:
    return Budget.model_validate({"id": "b", "limit": "100", "period": "month", "scope": {"team": "t"}} | changes)


def grant(name: str, extra: str, **changes: Any) -> ExceptionGrant:
    fields = {
        "id": name, "budget": "b", "extra": extra, "justification": "j", "expected_impact": "i", "requested_by": "r",
        "requested_at": NOW, "valid_from": NOW - timedelta(days=1), "valid_to": NOW + timedelta(days=1),
        "decision": {"verdict": "approved", "by": "fin", "at": NOW, "via": "review"},
    }  # fmt: skip
    return ExceptionGrant.model_validate(fields | changes)


def status(of: Budget, used: int, **changes: Any) -> BudgetStatus:
    unit = "nanousd" if of.unit == "usd" else of.unit
    fields = {
        "budget_id": of.id, "rule": of.rule, "scope": AlertScope(), "unit": unit, "used": used, "provisional": 0,
        "period": StatusPeriod(kind="month", start=datetime(2026, 11, 1, tzinfo=UTC),
                               end=datetime(2026, 12, 1, tzinfo=UTC), time_zone="UTC"),
        "limit": of.limit_units, "used_share": 0.0, "calls": 7, "mode": of.mode, "would_stop": False,
        "state": next((one for one in ("hard", "soft", "warning") if used >= of.level_units(one)), "ok"),
        "levels": {}, "as_of": AsOf(watermark=NOW, offsets={}), "evaluated_at": NOW,
    }  # fmt: skip
    return BudgetStatus.model_validate(fields | changes)


def plan_of(current: list[ControlRecord], then: list[ControlRecord]) -> Plan:
    """As make_plan would have it, of records that need no checks."""
    was, will = ({record_key(one): one for one in records} for records in (current, then))
    changes = [Change("delete", key, None, was[key]) for key in was if key not in will]
    changes += [
        Change("update" if key in was else "create", key, record, was.get(key))
        for key, record in will.items()
        if was.get(key) != record
    ]
    return Plan(tuple(changes), 0, 0)


def effect(current: list[ControlRecord], then: list[ControlRecord], *statuses: BudgetStatus) -> Effect:
    """The only one."""
    plan = plan_of(current, then)
    standing = {one.budget_id: one for one in statuses}
    [found] = effects_of(plan, in_force(*current), standing, NOW_US)
    return found


@pytest.mark.parametrize(
    ("then", "used", "sentence"),
    [
        ({"limit": "400"}, 412, "would go from hard to soft (used $412.00 of the new limit $400.00)"),
        ({"limit": "900"}, 412, "would go from hard to ok (used $412.00 of the new limit $900.00)"),
        ({"limit": "50", "mode": "enforce"}, 70,
         "would go from ok to hard (used $70.00 of the new limit $50.00), and gateways that ask are told to stop"),
        ({"owner": "Ada"}, 50, "stays ok (used $50.00 of the limit $100.00)"),
        ({"levels": {"warning": "0.5"}}, 60, "would go from ok to warning (used $60.00 of the limit $100.00)"),
        ({"unit": "calls", "limit": 7}, 60, "would go from ok to soft (used 7 of the new limit 7)"),
        ({"unit": "tokens", "limit": 7}, 60, "is held against tokens from now on, which its status does not tell"),
        ({"scope": {"team": "u"}}, 60,
         "is counted anew: unknown until ClickHouse has been asked for the whole period"),
    ],
)  # fmt: skip
def test_what_a_change_does_today(then: dict[str, Any], used: int, sentence: str) -> None:
    old = budget()
    assert effect([old], [budget(**then)], status(old, used * 10**9)).sentence == sentence


def test_what_comes_goes_or_is_unknown() -> None:
    old, new = budget(), budget(limit="5")
    assert effect([], [new]).sentence.startswith(
        "is new: counts the whole running period once ClickHouse has been asked"
    )
    span = budget(period="span", starts_at="2027-01-01", ends_at="2027-02-01")
    assert effect([], [span]).sentence == "is new: counts from 2027-01-01T00:00:00+00:00 on"
    assert effect([old], [], status(old, 5)).sentence.startswith("goes, and so does its status")
    assert effect([old], [new]).sentence == "has no status yet: nothing of it has been counted"
    unknown = effect([old], [new], status(old, 5, state="unknown", state_reason="ClickHouse is away"))
    assert (unknown.after, unknown.sentence) == ("unknown", "stays unknown: ClickHouse is away")
    person = Budget(id="b", scope=Scope(user="a" * 32), limit=1, period="day")  # type: ignore[arg-type]
    assert effect([person], [person.model_copy(update={"note": "n"})]).after is None


def test_an_exception_lifts_a_level_or_will() -> None:
    old = budget()
    hard = status(old, 130 * 10**9)
    found = effect([old, FIN], [old, FIN, grant("e", "50")], hard)
    assert found.sentence == "would go from hard to warning (used $130.00 of the new limit $150.00)"
    later = grant("e", "50", valid_from=NOW + timedelta(hours=1))
    told_later = effect([old, FIN], [old, FIN, later], hard).sentence
    assert told_later == (
        "stays hard (used $130.00 of the limit $100.00); 50 more from 2026-11-20 until 2026-11-21 by exception e"
    )
    lifted = status(old, 130 * 10**9, limit=150 * 10**9, state="warning")
    ended = effect([old, FIN, grant("e", "50")], [old, FIN], lifted)
    assert ended.sentence == "would go from warning to hard (used $130.00 of the new limit $100.00)"
    # Somebody without the right lifts nothing.
    denied = grant("e", "50", decision=Decision(verdict="approved", by="ada", at=NOW, via="review"))
    assert effect([old, FIN], [old, FIN, denied], hard).after == "hard"


amounts = st.integers(1, 10**6).map(lambda cents: f"{cents / 100:.2f}")
shares = st.lists(st.integers(1, 300), min_size=3, max_size=3).map(sorted)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Budget, Budget, list[ExceptionGrant], int]:
    """A budget before and after, exceptions (some in force, some not), and what was used in nano-dollars."""

    def one() -> Budget:
        low, mid, top = draw(shares)
        levels = {"warning": f"{low}e-2", "soft": f"{mid}e-2", "hard": f"{top}e-2"}
        return budget(limit=draw(amounts), levels=levels)

    grants = []
    for number in range(draw(st.integers(0, 4))):
        start, length = draw(st.integers(-5, 3)), draw(st.integers(1, 5))
        verdict = draw(st.sampled_from(["approved", "denied", "revoked"]))
        grants.append(
            grant(
                f"e{number}",
                draw(amounts),
                valid_from=NOW + timedelta(days=start),
                valid_to=NOW + timedelta(days=start + length),
                decision={"verdict": verdict, "by": "fin", "at": NOW, "via": "review"},
            )
        )
    old, new = one(), one()
    # Often right at a level, where rounding would show.
    edge = int(
        Fraction(str(new.limit)) * Fraction(str(draw(st.sampled_from([new.levels.warning, new.levels.hard])))) * 10**9
    )
    used = draw(st.one_of(st.integers(0, 2 * 10**13), st.integers(max(0, edge - 1), edge + 1)))
    return old, new, grants, used


@given(worlds())
def test_the_state_told_is_the_documents_arithmetic(world: tuple[Budget, Budget, list[ExceptionGrant], int]) -> None:
    old, new, grants, used = world
    extra = sum(
        Fraction(str(one.extra))
        for one in grants
        if one.decision is not None and one.decision.verdict == "approved" and one.valid_from <= NOW < one.valid_to
    )
    limit = (Fraction(str(new.limit)) + extra) * 10**9
    reached = [
        name
        for name, share in (("warning", new.levels.warning), ("soft", new.levels.soft), ("hard", new.levels.hard))
        if used >= limit * Fraction(str(share))
    ]
    changed = new.model_copy(update={"note": "changed"})
    found = effect([old, FIN, *grants], [changed, FIN, *grants], status(old, used))
    assert found.after == (reached[-1] if reached else "ok")
    assert found.limit is not None
    assert Fraction(found.limit) == limit


def test_lines_are_readable_at_a_hundred_columns() -> None:
    old = budget(note="short")
    new = budget(limit="400", note="a long note " * 30, levels={"hard": "2"}, owner="Ada", mode="enforce")
    plan = plan_of([old, FIN], [new, FIN, grant("e", "50")])
    effects = effects_of(plan, in_force(old, FIN), {"b": status(old, 90 * 10**9)}, NOW_US)
    lines = list(told(plan, effects))
    assert max(map(len, lines)) <= 100
    assert lines[:5] == [
        "update  budget/b",
        "        limit: 100 → 400",
        "        levels.hard: 1.2 → 2",
        "        mode: warn → enforce",
        "        owner: Ada",
    ]
    assert "        ▸ would go from warning to ok (used $90.00 of the new limit $450.00)" in lines
    data = as_data(plan, effects, applied=False)
    assert data["changes"][0]["fields"][0] == {"field": "limit", "before": "100", "after": "400"}
    assert data["effects"][0]["after"] == "ok"
    assert data["effects"][0]["limit"] == 450 * 10**9
