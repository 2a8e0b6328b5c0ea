"""What budgets share: equal parts are one object, and nobody can tell."""

from __future__ import annotations

from decimal import Decimal

from schemas.control.budgets import Budget, Levels, Scope
from schemas.control.parts import Parts
from schemas.control.records import dump_record, parse_record
from schemas.control.use_cases import UseCase


def read(budget: Budget) -> Budget:
    """As a reader of the control log has it."""
    found = parse_record(dump_record(budget))
    assert isinstance(found, Budget)
    return found


MONTH = read(Budget(id="a", scope=Scope(team="search"), limit=Decimal("10.50"), period="month", owner="ada"))
DAY = read(Budget(id="b", scope=Scope(team="search"), limit=Decimal("10.5"), period="day", owner="bo"))
OTHER = read(
    Budget(id="c", scope=Scope(team="ads"), limit=Decimal(3), period="day", levels=Levels(warning=Decimal("0.5")))
)


def test_equal_parts_are_one_object_and_records_stay_equal() -> None:
    records = (MONTH, DAY, OTHER)
    parts = Parts()
    month, day, other = shared = tuple(parts.share(one) for one in records)
    assert isinstance(month, Budget)
    assert isinstance(day, Budget)
    assert isinstance(other, Budget)
    assert shared == records
    assert [dump_record(one) for one in (month, day, other)] == [dump_record(one) for one in records]
    assert [one.rule for one in (month, day, other)] == [one.rule for one in records]
    assert month.scope is day.scope
    assert month.levels is day.levels
    assert month.limit is day.limit
    assert month.forecast is day.forecast is other.forecast
    assert month.scope is not other.scope
    assert other.levels.warning == Decimal("0.5")


def test_a_copy_changes_nobody_else() -> None:
    parts = Parts()
    one, two = parts.share(MONTH), parts.share(DAY)
    raised = one.model_copy(update={"limit": Decimal(20), "plan": Decimal(5)})
    assert isinstance(raised, Budget)
    assert raised.model_fields_set == MONTH.model_fields_set | {"limit", "plan"}
    assert (one, two) == (MONTH, DAY)
    assert one.model_fields_set == MONTH.model_fields_set
    assert two.model_fields_set == DAY.model_fields_set


def test_other_kinds_are_left_alone_and_old_parts_are_let_go_of() -> None:
    other = UseCase(id="support", owner="ada")
    assert Parts().share(other) is other
    parts = Parts()
    for number in range(1_200):
        parts.share(Budget(id="b", scope=Scope(team=f"t{number}"), limit=Decimal(number + 1), period="day"))
        parts.trim(1)
    assert 0 < len(parts) < 1_100, "1,200 limits and scopes were seen, and one of each is in force"
