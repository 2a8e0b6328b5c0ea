"""Budgets: limits are exact, levels rise, a period's zone is real, and a rule names what decides which events count."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.control.budgets import LEVELS, Budget, Levels, Scope
from tests.schemas.control.sentences import accepted, refusals


def document(**changes: Any) -> dict[str, Any]:
    return {"kind": "budget", "id": "search-month", "limit": "500", "period": "month"} | changes


def budget(**changes: Any) -> Budget:
    record = accepted(document(**changes))
    assert isinstance(record, Budget)
    return record


@pytest.mark.parametrize(
    ("changes", "where", "sentence"),
    [
        ({"limit": 0.1}, "limit", '0.1 is a binary fraction: write it in quotes, as limit: "0.1"'),
        ({"limit": "0"}, "limit", "Input should be greater than 0"),
        ({"limit": "-1"}, "limit", "Input should be greater than 0"),
        ({"limit": "NaN"}, "limit", "Input should be a finite number"),
        ({"limit": "0.1234567891"}, "", "limit 0.1234567891 is finer than one billionth of a dollar"),
        ({"limit": "1.5", "unit": "tokens"}, "", "limit 1.5 is finer than one token"),
        ({"limit": "1.5", "unit": "calls"}, "", "limit 1.5 is finer than one call"),
        (
            {"limit": "100.0000000000000000000000000001"},
            "",
            "limit 100.0000000000000000000000000001 is finer than one billionth of a dollar",
        ),
        ({"limit": "5e9"}, "", "limit 5000000000 is too large: the greatest is 4611686018"),
        (
            {"limit": "5e18", "unit": "tokens"},
            "",
            "limit 5000000000000000000 is too large: the greatest is 4611686018427387904",
        ),
        (
            {"levels": {"warning": "1.1"}},
            "levels",
            "levels must rise: warning 1.1 ≤ soft 1 ≤ hard 1.2 does not hold",
        ),
        ({"levels": {"hard": "0.9"}}, "levels", "levels must rise: warning 0.8 ≤ soft 1 ≤ hard 0.9 does not hold"),
        ({"levels": {"warning": "0"}}, "levels.warning", "Input should be greater than 0"),
        (
            {"time_zone": "Mars/Base"},
            "time_zone",
            "time zone 'Mars/Base' is not known; use a name such as Europe/Berlin or UTC",
        ),
        (
            {"time_zone": "../../etc/passwd"},
            "time_zone",
            "time zone '../../etc/passwd' is not known; use a name such as Europe/Berlin or UTC",
        ),
        (
            {"time_zone": "localtime"},
            "time_zone",
            "time zone 'localtime' depends on the machine; use a name such as Europe/Berlin or UTC",
        ),
        (
            {"time_zone": "U" * 300},
            "time_zone",
            f"time zone '{'U' * 300}' is not known; use a name such as Europe/Berlin or UTC",
        ),
        (
            {"period": "year"},
            "period",
            "Input should be 'hour', 'day', 'week', 'month', 'quarter' or 'span'",
        ),
        ({"limt": "5"}, "limt", "Extra inputs are not permitted"),
        ({"scope": {"credential": "key"}}, "scope.credential", "Extra inputs are not permitted"),
        (
            {"id": "two words"},
            "id",
            "String should match pattern '^[A-Za-z0-9][A-Za-z0-9._\\-/@:]{0,127}$'",
        ),
    ],
    ids=str,
)
def test_what_is_refused_and_why(changes: dict[str, Any], where: str, sentence: str) -> None:
    assert refusals(document(**changes)) == [(where, sentence)]


def test_a_misspelt_limit_is_told_twice() -> None:
    """Once as missing, once as unknown: the author sees both ends of the mistake."""
    wrong = document(limitt="500")
    del wrong["limit"]
    assert refusals(wrong) == [("limit", "Field required"), ("limitt", "Extra inputs are not permitted")]


@pytest.mark.parametrize(
    ("changes", "units"),
    [
        ({"limit": "500"}, 500_000_000_000),
        ({"limit": 500}, 500_000_000_000),
        ({"limit": "0.000000001"}, 1),
        ({"limit": "1e6", "unit": "tokens"}, 1_000_000),
        ({"limit": "3", "unit": "calls"}, 3),
    ],
    ids=str,
)
def test_limits_in_whole_units(changes: dict[str, Any], units: int) -> None:
    assert budget(**changes).limit_units == units


def test_levels_by_default_and_by_choice() -> None:
    plain = budget(limit="100", unit="calls")
    assert [plain.level_units(level) for level in LEVELS] == [80, 100, 120]
    third = budget(limit="100", unit="calls", levels={"warning": "0.333", "soft": "0.5", "hard": "0.501"})
    assert [third.level_units(level) for level in LEVELS] == [34, 50, 51]


@given(
    limit=st.integers(1, 2**62 - 1),
    shares=st.lists(st.decimals("0.0001", "100", places=4), min_size=3, max_size=3).map(sorted),
)
@example(limit=3, shares=[Decimal("0.3334"), Decimal(1), Decimal(1)])
@example(limit=2**62 - 1, shares=[Decimal("0.0001"), Decimal("33.3333"), Decimal(100)])
def test_reaching_a_level_crosses_it(limit: int, shares: list[Decimal]) -> None:
    """The least whole use that is at or above the exact share: never one too many, never one too few."""
    levels = Levels(warning=shares[0], soft=shares[1], hard=shares[2])
    held = Budget(id="b", unit="tokens", limit=Decimal(limit), period="day", levels=levels)
    for level, share in zip(LEVELS, shares, strict=True):
        exact = Fraction(share) * limit
        units = held.level_units(level)
        assert units - 1 < exact <= units


def test_the_rule_is_what_decides_which_events_count() -> None:
    """State is kept under it: it may not move with a limit, a level, an owner or the order of a file."""
    first = budget(scope={"team": "search", "stage": "production"})
    for same in (
        {"limit": "900"},
        {"levels": {"warning": "0.5"}},
        {"mode": "enforce"},
        {"owner": "Ada"},
        {"unit": "tokens"},
        {"id": "another"},
        {"scope": {"stage": "production", "team": "search"}},
    ):
        assert budget(**{"scope": {"team": "search", "stage": "production"}} | same).rule == first.rule, same
    for other in (
        {"scope": {"team": "search"}},
        {"scope": {"project": "search", "stage": "production"}},
        {"period": "day"},
        {"time_zone": "Europe/Berlin"},
    ):
        assert budget(**{"scope": {"team": "search", "stage": "production"}} | other).rule != first.rule, other


def test_rules_of_this_version_are_those_of_the_last() -> None:
    """Checkpoints carry them: a rule computed otherwise would throw away what every budget has used."""
    assert budget().rule == "93067b62e9cfe6ed"
    assert budget(scope={"team": "search"}, period="day", time_zone="Europe/Berlin").rule == "e1c625d908411447"


def test_a_scope_in_columns_and_in_words() -> None:
    scope = Scope(team="search", project="ranking", model_class="frontier")
    assert scope.selectors() == {"team_id": ("search",), "project_id": ("ranking",), "model_class": ("frontier",)}
    assert scope.text() == "team search, project ranking, model class frontier"
    personal = Scope(team="search", user="5e884898da28", stage="production")
    assert personal.selectors()["user_hash"] == ("5e884898da28",)
    assert personal.text() == "team search, stage production, one person"
    below = Scope(department="product", within=("product", "search", "ads"))
    assert below.selectors() == {"department": ("product", "search", "ads")}
    assert below.text() == "department product"
    assert Scope().selectors() == {}
    assert Scope().text() == "platform"
