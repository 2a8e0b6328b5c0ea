"""Alerts and statuses: ids and keys that every replay repeats, documents that come back as they went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.alerts import Alert, AlertKind, AlertState, Severity, alert_id
from schemas.status import BudgetStatus, status_key
from tests.schemas.samples import ALERT, STATUS

KINDS = st.sampled_from(get_args(AlertKind))
PARTS = st.lists(st.text("abc/|-1", max_size=4), max_size=4)


def test_alert_ids_of_this_version_are_those_of_the_last() -> None:
    """An alert that fires in one version is resolved, under the same key, in the next."""
    assert alert_id("budget", "search-month", "2026-01-01", "hard") == "budget-9458b757b80fbd0fa283"
    assert alert_id("spike") == "spike-798552d3924a30ba1def"


@given(KINDS, PARTS, KINDS, PARTS)
def test_alert_ids_are_equal_for_equal_parts_alone(
    kind: AlertKind, parts: list[str], other: AlertKind, others: list[str]
) -> None:
    same = (kind, parts) == (other, others)
    assert (alert_id(kind, *parts) == alert_id(other, *others)) is same


def test_parts_do_not_run_into_each_other() -> None:
    assert alert_id("budget", "ab", "c") != alert_id("budget", "a", "bc")
    assert alert_id("budget", "a", 1) == alert_id("budget", "a", "1")


def test_an_alert_id_is_short_and_plain() -> None:
    assert len(alert_id("workflow_regression", "x" * 10_000)) == len("workflow_regression-") + 20
    assert alert_id("policy", "ü\n").isascii()


@pytest.mark.parametrize(
    ("state", "severity", "historical", "pages"),
    [
        ("firing", "critical", False, True),
        ("firing", "critical", True, False),
        ("firing", "warning", False, False),
        ("updated", "critical", False, False),
        ("resolved", "critical", False, False),
    ],
)
def test_who_is_woken(state: AlertState, severity: Severity, historical: bool, pages: bool) -> None:
    alert = ALERT.model_copy(update={"state": state, "severity": severity, "historical": historical})
    assert alert.pages is pages


def test_documents_come_back_as_they_went() -> None:
    assert Alert.model_validate_json(ALERT.model_dump_json()) == ALERT
    assert BudgetStatus.model_validate_json(STATUS.model_dump_json()) == STATUS


def test_a_newer_major_version_is_refused() -> None:
    with pytest.raises(ValidationError, match="schema_version"):
        Alert.model_validate(ALERT.model_dump() | {"schema_version": 2})


def test_an_alert_never_names_a_person() -> None:
    """The smallest scope is a team's workflow."""
    assert not {name for name in Alert.model_fields["scope"].annotation.model_fields if "user" in name}  # type: ignore[union-attr]


def test_status_keys_sort_by_period() -> None:
    january, february = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert status_key("search-month", january) == "search-month|2026-01-01T00:00:00+00:00"
    assert status_key("search-month", january) < status_key("search-month", february)
    berlin = timezone(timedelta(hours=1))
    assert status_key("b", datetime(2026, 1, 1, tzinfo=berlin)) == "b|2026-01-01T00:00:00+01:00"
