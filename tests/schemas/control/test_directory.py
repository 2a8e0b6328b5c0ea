"""The directory: dates with their zone, terms that do not overlap."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.control.base import moment_us
from schemas.control.directory import Team, TeamTerm
from tests.schemas.control.sentences import accepted, refusals


def team(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "team", "id": "search", "terms": list(terms)}


def term(valid_from: str | None = None, valid_to: str | None = None) -> dict[str, Any]:
    return {"valid_from": valid_from, "valid_to": valid_to}


OVERLAP = (
    "team search has two entries for the same time: the one from {} lasts until {}, but another starts at {}; "
    "set valid_to on the first"
)


@pytest.mark.parametrize(
    ("terms", "where", "sentence"),
    [
        ([term(), term()], "", OVERLAP.format("ever", "ever", "ever")),
        (
            [term("2026-03-01"), term("2026-01-01")],
            "",
            OVERLAP.format("2026-01-01 00:00:00+00:00", "ever", "2026-03-01 00:00:00+00:00"),
        ),
        (
            [term("2026-01-01", "2026-03-02"), term("2026-03-01")],
            "",
            OVERLAP.format("2026-01-01 00:00:00+00:00", "2026-03-02 00:00:00+00:00", "2026-03-01 00:00:00+00:00"),
        ),
        (
            [term("2026-01-02", "2026-01-02")],
            "terms.0",
            "valid_to 2026-01-02T00:00:00+00:00 is not after valid_from 2026-01-02T00:00:00+00:00",
        ),
        (
            [term("2026-01-02T10:00:00")],
            "terms.0.valid_from",
            "2026-01-02T10:00:00 has no time zone: write a date (midnight UTC) or end it with Z",
        ),
        ([], "terms", "Tuple should have at least 1 item after validation, not 0"),
    ],
    ids=["both open", "first open", "one day too long", "empty span", "no zone", "no term"],
)
def test_what_is_refused_and_why(terms: list[dict[str, Any]], where: str, sentence: str) -> None:
    assert (where, sentence) in refusals(team(*terms))


def test_an_impossible_date_is_refused_where_it_stands() -> None:
    (place, _), *_ = refusals(team(term("2026-02-30")))
    assert place == "terms.0.valid_from"


def test_terms_that_meet_do_not_overlap() -> None:
    record = accepted(team(term("2026-03-01"), term("2026-01-01", "2026-03-01"), term(None, "2026-01-01")))
    assert isinstance(record, Team)


def test_a_date_is_midnight_utc_and_a_zone_is_brought_to_utc() -> None:
    record = accepted(team(term("2026-01-01", "2026-02-01T01:30:00+02:00")))
    assert isinstance(record, Team)
    assert record.terms[0].valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert record.terms[0].valid_to == datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    assert str(record.terms[0].valid_to) == "2026-01-31 23:30:00+00:00"


def test_open_ends_reach_all_of_time() -> None:
    assert (TeamTerm().from_us, TeamTerm().to_us) == (-(2**63), 2**63 - 1)


@given(st.datetimes(timezones=st.just(UTC)))
def test_moments_keep_their_microseconds(moment: datetime) -> None:
    us = moment_us(moment)
    assert divmod(us, 1_000_000)[1] == moment.microsecond
    assert moment_us(moment.replace(microsecond=0)) == us - moment.microsecond


DAYS = st.lists(st.integers(0, 3_000), min_size=4, max_size=4, unique=True).map(sorted)


@given(DAYS, st.booleans())
def test_two_spans_overlap_or_not_in_any_order(days: list[int], crossed: bool) -> None:
    a, b, c, d = (datetime.fromordinal(730_000 + day).replace(tzinfo=UTC) for day in days)
    first, second = ((a, c), (b, d)) if crossed else ((a, b), (c, d))
    spans = [TeamTerm(valid_from=start, valid_to=end) for start, end in (first, second)]
    for terms in (tuple(spans), tuple(reversed(spans))):
        if crossed:
            with pytest.raises(ValidationError, match="team t has two entries for the same time"):
                Team(id="t", terms=terms)
        else:
            assert Team(id="t", terms=terms).terms == terms
