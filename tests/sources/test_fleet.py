"""The fleet: equal seeds give equal bytes, its counts are exact, and every planted thing is where it says."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from schemas.control.base import moment_us
from schemas.decoding import Decoder
from schemas.rejections import RejectionCode
from schemas.usage import CLOSED_SETS, INVARIANTS, MAX_STRING_BYTES, MAX_TOKENS, MIN_OCCURRED_AT_US, TOKEN_COLUMNS
from sources.fleet import Expected, Fleet, Incident
from sources.fleet.cast import TEAMS
from sources.fleet.incidents.context_resent import CALLS
from sources.fleet.incidents.over_budget import HARD_TOKENS
from sources.fleet.incidents.retry_storm import ATTEMPTS
from sources.messages import Message, partition_of

END = datetime(2026, 11, 21, 18, 7, 33, tzinfo=UTC)
SIZE = 40_000
PARTITIONS = 4


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet(5, END, target_events=SIZE)


@pytest.fixture(scope="module")
def sent(fleet: Fleet) -> pa.Table:
    """Every row of every chunk, bad ones and resends included."""
    return pa.concat_tables([chunk.usage for chunk in fleet.chunks()]).combine_chunks()


@pytest.fixture(scope="module")
def accepted(sent: pa.Table) -> pa.Table:
    """What the pipeline should accept: no row with a fault, each event once."""
    rows = sent.filter(pa.array([fault is None for fault in faults_of(sent)]))
    _, first = np.unique(np.array(rows.column("event_id").to_pylist()), return_index=True)
    return rows.take(pa.array(np.sort(first)))


def faults_of(table: pa.Table) -> list[RejectionCode | None]:
    """The first rule of the contract that each row breaks, by the contract's own figures."""
    found: list[RejectionCode | None] = [None] * table.num_rows

    def mark(bad: pa.Array | pa.ChunkedArray, code: RejectionCode) -> None:
        for row in np.flatnonzero(bad.to_numpy(zero_copy_only=False)):
            found[row] = found[row] or code

    table = table.combine_chunks()
    for column in table.columns:
        if pa.types.is_string(column.type):
            too_long = pc.greater(pc.binary_length(column), MAX_STRING_BYTES)
            mark(pc.fill_null(too_long, False).combine_chunks(), "too_long")
    occurred = table.column("occurred_at").cast(pa.int64()).combine_chunks()
    mark(pc.less(occurred, MIN_OCCURRED_AT_US), "too_early")
    mark(pc.greater(occurred, moment_us(END + timedelta(days=2))), "too_far_ahead")
    for name in TOKEN_COLUMNS:
        mark(pc.less(table.column(name), 0).combine_chunks(), "negative_count")
        mark(pc.greater(table.column(name), MAX_TOKENS).combine_chunks(), "absurd_count")
    for parts, whole in INVARIANTS:
        total = sum(table.column(part).to_numpy() for part in parts)
        mark(pa.array(total > table.column(whole).to_numpy()), "broken_invariant")
    for name, values in CLOSED_SETS.items():
        known = pc.is_in(table.column(name), pa.array([*values, None], pa.utf8()))
        mark(pc.invert(known).combine_chunks(), "bad_value")
    sizes = np.diff(np.asarray(table.column("tags").combine_chunks().offsets))
    mark(pa.array(sizes > 0), "tag_not_allowed")
    return found


def test_equal_seeds_give_equal_bytes() -> None:
    def wire(seed: int) -> list[Message]:
        fleet = Fleet(seed, END, target_events=10_000)
        return [message for chunk in fleet.chunks() for message in chunk.messages(PARTITIONS)] + [
            message for chunk in fleet.chunks() for message in chunk.outcome_messages(PARTITIONS)
        ]

    assert wire(1) == wire(1)
    assert wire(1) != wire(2)


def test_counts_are_exact(fleet: Fleet, accepted: pa.Table) -> None:
    expected = fleet.expected
    chunks = list(fleet.chunks())
    assert len(chunks) == fleet.chunk_count
    assert sum(chunk.events for chunk in chunks) == fleet.total_events == expected.sent
    assert expected.sent == expected.accepted + expected.duplicates + expected.rejected
    assert abs(expected.sent - SIZE) < 0.05 * SIZE
    assert 0.008 < expected.duplicates / expected.sent < 0.012
    assert 0.002 < expected.rejected / expected.sent < 0.004
    assert accepted.num_rows == expected.accepted
    assert pc.sum(accepted.column("input_tokens")).as_py() == expected.input_tokens
    assert pc.sum(accepted.column("cache_read_tokens")).as_py() == expected.cache_read_tokens
    assert pc.sum(accepted.column("output_tokens")).as_py() == expected.output_tokens
    assert pc.sum(pc.equal(accepted.column("model"), "lab-prototype-2")).as_py() == expected.unpriced
    assert sum(chunk.outcomes.num_rows for chunk in chunks) == fleet.outcomes().num_rows == expected.outcomes


def test_everything_sent_decodes_to_what_is_expected(fleet: Fleet) -> None:
    values = [message.value for chunk in fleet.chunks() for message in chunk.messages(PARTITIONS)]
    decoded = Decoder("usage_event").decode(values)
    codes = Counter([failure.code for failure in decoded.failures])
    faults = faults_of(decoded.table)
    codes.update(code for code in faults if code is not None)
    assert tuple(sorted(codes.items())) == fleet.expected.rejected_by_code
    assert len(codes) == 17
    assert min(codes.values()) >= 3
    good = [one for one, fault in zip(decoded.table.column("event_id").to_pylist(), faults, strict=True) if not fault]
    assert len(good) - len(set(good)) == fleet.expected.duplicates


def test_a_resend_is_the_same_event_later(sent: pa.Table) -> None:
    ids = sent.column("event_id").to_pylist()
    counts = Counter(ids)
    twice = {one for one, count in counts.items() if count > 1}
    assert twice
    assert max(counts.values()) == 2
    rows: dict[str, list[dict[str, object]]] = {}
    repeated = sent.filter(pc.is_in(sent.column("event_id"), pa.array(sorted(twice))))
    for row in repeated.to_pylist():
        rows.setdefault(row["event_id"], []).append(row)
    assert all(first == second for first, second in rows.values())


def test_chunks_follow_event_time_and_partitions(fleet: Fleet) -> None:
    latest = dict.fromkeys(range(PARTITIONS), 0)
    end = None
    for chunk in fleet.chunks():
        assert chunk.starts_at == (end or fleet.start)
        end = chunk.ends_at
        fine = chunk.usage.filter(pa.array([fault is None for fault in faults_of(chunk.usage)]))
        times = fine.column("occurred_at").cast(pa.int64()).to_pylist()
        for one, at in zip(fine.column("event_id").to_pylist(), times, strict=True):
            # Only resends lag behind, by five minutes at most.
            partition = partition_of(one, PARTITIONS)
            assert at >= latest[partition] - 300_000_000
            latest[partition] = max(latest[partition], at)
            assert at < moment_us(chunk.ends_at)
    assert end == fleet.end == END.replace(second=0)


def test_the_company_keeps_its_hours(accepted: pa.Table) -> None:
    times = np.sort(accepted.column("occurred_at").cast(pa.int64()).to_numpy())
    hours = (times // 3_600_000_000) % 24
    weekdays = (times // 86_400_000_000 + 3) % 7
    by_day = np.bincount(weekdays, minlength=7)
    assert by_day[5:].max() < 0.5 * by_day[:5].min()
    working = Counter(hours[weekdays < 5].tolist())
    assert working[14] > 5 * working[2] > 0
    for day in range(28):
        first = moment_us(END) - (day + 2) * 86_400_000_000
        assert np.count_nonzero((times >= first) & (times < first + 86_400_000_000)) > 0
    half = np.median(times)
    assert half > times[0] + 0.51 * (times[-1] - times[0])


def test_enough_teams_departments_and_outcomes(accepted: pa.Table, fleet: Fleet) -> None:
    assert len(TEAMS) >= 12
    assert len({team.department for team in TEAMS}) == 4
    outcomes = fleet.outcomes()
    kinds = set(outcomes.column("kind").to_pylist())
    assert {"ticket_resolved", "change_merged", "document_processed", "lead_qualified"} <= kinds
    sessions = set(accepted.column("session_id").to_pylist())
    assert set(outcomes.column("session_id").to_pylist()) <= sessions
    succeeded = pc.mean(pc.cast(outcomes.column("succeeded"), pa.float64())).as_py()
    assert 0.6 < succeeded < 0.95


def incident(fleet: Fleet, name: str) -> Incident:
    return next(one for one in fleet.incidents if one.name == name)


def window(table: pa.Table, source: str, starts: datetime, ends: datetime) -> pa.Table:
    at = table.column("occurred_at")
    inside = pc.and_(pc.greater_equal(at, pa.scalar(starts)), pc.less(at, pa.scalar(ends)))
    return table.filter(pc.and_(inside, pc.equal(table.column("use_case"), source)))


def before_and_during(fleet: Fleet, table: pa.Table, name: str, use_case: str) -> tuple[pa.Table, pa.Table]:
    """A week earlier at the same hours, and the incident."""
    one, week = incident(fleet, name), timedelta(days=7)
    return (
        window(table, use_case, one.starts_at - week, one.ends_at - week),
        window(table, use_case, one.starts_at, one.ends_at),
    )


def mean(table: pa.Table, column: str) -> float:
    return float(pc.mean(table.column(column)).as_py())


def test_the_loop_multiplies_calls_in_one_session(fleet: Fleet, accepted: pa.Table) -> None:
    usual, loop = before_and_during(fleet, accepted, "runaway loop", "incident-triage")
    assert 7 < loop.num_rows / usual.num_rows < 13
    assert 0.8 < mean(loop, "input_tokens") / mean(usual, "input_tokens") < 1.25
    assert Counter(loop.column("session_id").to_pylist()).most_common(1)[0][1] > 0.8 * loop.num_rows


def test_the_bloat_multiplies_input_under_a_new_version(fleet: Fleet, accepted: pa.Table) -> None:
    usual, bloated = before_and_during(fleet, accepted, "prompt bloat", "claims-extraction")
    assert 5.5 < mean(bloated, "input_tokens") / mean(usual, "input_tokens") < 8.5
    assert set(bloated.column("prompt_template").to_pylist()) == {"extract-claim@9-all-examples"}
    assert set(bloated.column("workflow_version").to_pylist()).isdisjoint(usual.column("workflow_version").to_pylist())


def test_the_dear_model_serves_the_same_calls(fleet: Fleet, accepted: pa.Table) -> None:
    usual, dear = before_and_during(fleet, accepted, "dear model", "lead-qualification")
    assert set(usual.column("model").to_pylist()) == {"claude-haiku-4-5"}
    assert set(dear.column("model").to_pylist()) == {"claude-opus-4-1"}


def test_the_cache_stops_hitting(fleet: Fleet, accepted: pa.Table) -> None:
    usual, cold = before_and_during(fleet, accepted, "cache collapse", "code-assist")
    usual, cold = (one.filter(pc.equal(one.column("workflow"), "coding-agent")) for one in (usual, cold))
    assert mean(usual, "cache_read_tokens") / mean(usual, "input_tokens") > 0.8
    assert mean(cold, "cache_read_tokens") == 0
    assert mean(cold, "cache_write_tokens") / mean(cold, "input_tokens") > 0.8


def test_the_storm_repeats_calls_that_fail(fleet: Fleet, accepted: pa.Table) -> None:
    usual, storm = before_and_during(fleet, accepted, "retry storm", "contract-review")
    assert 4 < storm.num_rows / usual.num_rows < 12
    failed = pc.mean(pc.cast(pc.equal(storm.column("status"), "error"), pa.float64())).as_py()
    assert 0.75 < failed < 0.95
    assert 3 < mean(storm, "attempt") < 6
    repeats = storm.filter(pc.greater(storm.column("attempt"), 1))
    assert set(repeats.column("retry_of").to_pylist()) <= set(accepted.column("event_id").to_pylist())
    assert pc.max(repeats.column("attempt")).as_py() <= ATTEMPTS
    # A call that timed out is billed for what was sent.
    assert min(repeats.column("input_tokens").to_pylist()) > 0


def test_the_conversation_grows_until_it_begins_anew(fleet: Fleet, accepted: pa.Table) -> None:
    usual, resent = before_and_during(fleet, accepted, "context resent", "account-briefs")
    assert 0.5 < resent.num_rows / usual.num_rows < 2
    assert mean(resent, "input_tokens") > 4 * mean(usual, "input_tokens")
    conversations: dict[str, list[int]] = {}
    for row in resent.sort_by("occurred_at").select(["session_id", "input_tokens"]).to_pylist():
        conversations.setdefault(row["session_id"], []).append(row["input_tokens"])
    assert len(conversations) > 1
    for tokens in conversations.values():
        assert len(tokens) <= CALLS
        assert tokens == sorted(tokens)


def test_the_load_test_is_announced(fleet: Fleet, accepted: pa.Table) -> None:
    usual, tested = before_and_during(fleet, accepted, "planned load test", "market-analysis")
    assert 6 < tested.num_rows / usual.num_rows < 14
    [activity] = fleet.activities
    planted = incident(fleet, "planned load test")
    assert (planted.activity, planted.looks) == (activity.id, ("planned_activity",))
    assert activity.scope.selectors() == {"team_id": (planted.team,)}
    assert activity.starts_at < planted.starts_at < planted.ends_at < activity.ends_at


def test_each_spike_has_a_name_of_its_own(fleet: Fleet) -> None:
    spikes = [one for one in fleet.incidents if one.alert_kind == "spike"]
    assert len({one.looks[0] for one in spikes}) == len(spikes) == len(fleet.incidents) - 1


def finance_by_day(table: pa.Table) -> tuple[pa.Table, dict[int, int]]:
    own = table.filter(pc.equal(table.column("use_case"), "invoice-matching")).sort_by("occurred_at")
    days = own.column("occurred_at").cast(pa.int64()).to_numpy() // 86_400_000_000
    used = own.column("input_tokens").to_numpy() + own.column("output_tokens").to_numpy()
    return own, {int(day): int(used[days == day].sum()) for day in np.unique(days)}


def test_the_budget_is_crossed_by_the_very_call_that_is_named(fleet: Fleet, accepted: pa.Table) -> None:
    planted = incident(fleet, "over budget")
    assert (planted.alert_kind, planted.budget_id) == ("budget", "finance-recon-daily-tokens")
    own, by_day = finance_by_day(accepted)
    over = moment_us(planted.starts_at) // 86_400_000_000
    assert [day for day, used in by_day.items() if used >= HARD_TOKENS] == [over]
    midnight = planted.expected_at.replace(hour=0, minute=0, second=0, microsecond=0)
    today = window(own, "invoice-matching", midnight, planted.expected_at)
    until = pc.sum(today.column("input_tokens")).as_py() + pc.sum(today.column("output_tokens")).as_py()
    crossing = window(own, "invoice-matching", planted.expected_at, planted.expected_at + timedelta(microseconds=1))
    assert crossing.num_rows == 1
    tokens = mean(crossing, "input_tokens") + mean(crossing, "output_tokens")
    assert until < HARD_TOKENS <= until + tokens


@pytest.mark.parametrize("seed", range(3))
def test_only_the_planted_day_is_over_budget_at_full_size(seed: int) -> None:
    fleet = Fleet(seed, END + timedelta(hours=31 * seed))
    rows = pa.concat_tables([chunk.usage for chunk in fleet.chunks()])
    _, first = np.unique(np.array(rows.column("event_id").to_pylist()), return_index=True)
    rows = rows.take(pa.array(first))
    good = pc.and_(pc.less_equal(rows.column("input_tokens"), MAX_TOKENS), pc.greater(rows.column("output_tokens"), -1))
    _, by_day = finance_by_day(rows.filter(good))
    over = moment_us(incident(fleet, "over budget").starts_at) // 86_400_000_000
    assert [day for day, used in by_day.items() if used >= HARD_TOKENS] == [over]


@pytest.mark.parametrize("hours", range(0, 24 * 8, 13))
def test_incidents_fall_on_different_working_days_late_enough(hours: int) -> None:
    fleet = Fleet(9, END + timedelta(hours=hours), target_events=20_000)
    assert [one.name for one in fleet.incidents] == [
        "runaway loop", "prompt bloat", "dear model", "retry storm",
        "cache collapse", "context resent", "planned load test", "over budget",
    ]  # fmt: skip
    assert len({one.team for one in fleet.incidents}) == 8
    for one in fleet.incidents:
        assert one.starts_at.weekday() < 5
        assert one.starts_at >= fleet.start + timedelta(days=12)
        assert one.ends_at < fleet.end
        assert 6 <= one.starts_at.hour < 12
    for earlier, later in pairwise(fleet.incidents):
        assert earlier.starts_at.date() < later.starts_at.date()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"end": datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001
        ({"end": END, "days": 14}, "use 26 days or more"),
        ({"end": END, "target_events": 500}, "less than 10000"),
        ({"end": END, "chunk_hours": 0}, "not between 1 and 24"),
    ],
)
def test_an_impossible_fleet_is_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Fleet(1, **arguments)  # type: ignore[arg-type]


def test_expected_is_a_value() -> None:
    assert Fleet(3, END, target_events=10_000).expected == Fleet(3, END, target_events=10_000).expected
    assert isinstance(Fleet(3, END, target_events=10_000).expected, Expected)
