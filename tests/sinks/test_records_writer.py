"""Outcomes, rejections, alerts and statuses to ClickHouse, on both brokers: nothing is lost, one row per identity."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from runtime.clock import SystemClock
from schemas.adjustments import ADJUSTED_EVENTS, AdjustmentForm, AdjustmentPart
from schemas.alerts import Alert, AlertScope, AlertWindow, Cause
from schemas.arrow_ipc import to_ipc
from schemas.positions import version_header
from schemas.rejections import Rejection, pack_raw
from schemas.status import AsOf, BudgetStatus, Forecast, StatusPeriod, status_key
from schemas.usage import TIMESTAMP
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.errors import SinkError
from sinks.migrate import migrate
from sinks.records.outcome_limit import OutcomeLimit
from sinks.records.outcomes import OutcomeReader
from sinks.records.record_rows import Record, alert_rows, rejected_rows, status_rows
from tests.sinks.running import SinkHouse, wait_until
from tests.support.blocks import NOON_US, BlockMessage, default_of
from tests.support.kafka import ApacheKafka

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def house(bootstrap: str, topic_prefix: str, http_target: ClickHouseTarget) -> SinkHouse:
    return SinkHouse(bootstrap, topic_prefix, http_target)


def outcome(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "outcome_id": f"o{number}",
        "source": "jira",
        "occurred_at": NOON_US,
        "team_id": "payments",
        "use_case": "support",
        "kind": "ticket_resolved",
        "succeeded": True,
        **changes,
    }


def as_messages(*values: bytes | dict[str, Any]) -> list[BlockMessage]:
    return [BlockMessage(json.dumps(v).encode() if isinstance(v, dict) else v, []) for v in values]


def rejection(offset: int) -> Rejection:
    raw, sha256, size, cut = pack_raw(b"\x00\xffbad")
    return Rejection(
        code="undecodable",
        message="the Avro datum cannot be read",
        topic="usage.events",
        partition=1,
        offset=offset,
        appended_at_us=NOON_US,
        raw=raw,
        raw_sha256=sha256,
        raw_bytes=size,
        raw_truncated=cut,
    )


def alert(revision: int) -> Alert:
    return Alert(
        alert_id="budget-1",
        revision=revision,
        kind="budget",
        state="firing" if revision == 0 else "resolved",
        severity="critical",
        historical=False,
        scope=AlertScope(team="payments", use_case="support"),
        window=AlertWindow(start=NOON, end=NOON),
        unit="nanousd",
        observed=12,
        limit=10,
        budget_id="b1",
        level="hard",
        mode="warn",
        summary="payments used 12 of 10",
        explanation=(Cause(factor="calls", label="more calls: 5 to 9", delta=2, share=1.0),),
        suggested_action="ask",
        occurred_at=NOON,
        evaluated_at=NOON,
    )


def status(used: int, minute: int) -> BudgetStatus:
    return BudgetStatus(
        budget_id="b1",
        rule="r",
        scope=AlertScope(team="payments"),
        period=StatusPeriod(kind="month", start=NOON, end=NOON.replace(month=4), time_zone="UTC"),
        unit="nanousd",
        used=used,
        provisional=0,
        limit=100,
        used_share=used / 100,
        calls=3,
        state="ok",
        mode="warn",
        would_stop=False,
        levels={"hard": 100},
        forecast=Forecast(p10=1, p50=2, p90=3, chance_of_exceeding=0.25, method="hour_of_week"),
        as_of=AsOf(watermark=NOON, offsets={0: 5}),
        evaluated_at=NOON.replace(minute=minute),
    )


def test_bad_outcomes_are_rejected_and_their_neighbours_pass(house: SinkHouse) -> None:
    house.put(
        house.topics.outcomes,
        1,
        as_messages(
            outcome(0, value_nanousd=1_500_000_000),
            b"\x99 no framing",
            outcome(1, minutes_saved=-3.0),
            b"",
            outcome(2, quality=4.0),
            outcome(3, incident="oops"),
            {"outcome_id": "o4"},
            outcome(5, occurred_at=NOON_US // 1_000_000),
            outcome(6, use_case=""),
            outcome(7, quality=4.5, quality_kind="csat", incident="safety", minutes_saved=0.0),
        ),
    )
    with house.running() as sink:
        house.wait_for(
            "SELECT outcome_id, value_usd FROM usage_outcomes FINAL ORDER BY outcome_id",
            [("o0", Decimal("1.5")), ("o7", None)],
            sink,
        )
        house.wait_for(
            "SELECT offset, code FROM usage_rejected FINAL ORDER BY offset",
            [
                (1, "unknown_framing"),
                (2, "bad_value"),
                (3, "empty"),
                (4, "broken_invariant"),
                (5, "bad_value"),
                (6, "missing_field"),
                (7, "too_early"),
                (8, "missing_field"),
            ],
            sink,
        )
    refused = "SELECT topic, partition, message, source, event_id, raw FROM usage_rejected FINAL WHERE offset = 2"
    topic, partition, sentence, source, event_id, raw = house.query(refused)[0]
    assert (topic, partition, source, event_id) == (house.topics.outcomes, 1, "jira", "o1")
    assert sentence == "minutes_saved is -3.0: it cannot be negative"
    assert json.loads(base64.b64decode(raw))["outcome_id"] == "o1"
    assert house.query("SELECT sum(refused) FROM rejections_daily") == [(8,)]


def test_records_have_one_row_per_identity(house: SinkHouse) -> None:
    """Everything is delivered twice, and a foreign value stands between."""
    key = status_key("b1", NOON).encode()
    for _ in range(2):
        house.put(house.topics.rejected, 0, as_messages(rejection(7).model_dump_json().encode(), b"{}"))
        house.put(house.topics.alerts, 0, as_messages(*[alert(n).model_dump_json().encode() for n in (0, 1)]))
        statuses = as_messages(*[status(*of).model_dump_json().encode() for of in ((40, 5), (30, 1))])
        house.put(house.topics.status, 0, statuses, key)
    with house.running() as sink:
        house.wait_for(
            "SELECT offset, code, raw_bytes, raw_truncated FROM usage_rejected FINAL",
            [(7, "undecodable", 5, False)],
            sink,
        )
        house.wait_for(
            "SELECT revision, state, team_id, use_case, toString(JSONExtractString(explanation, 1, 'factor')), `limit` "
            "FROM governance_alerts FINAL ORDER BY revision",
            [(0, "firing", "payments", "support", "calls", 10), (1, "resolved", "payments", "support", "calls", 10)],
            sink,
        )
        house.wait_for(
            "SELECT budget_id, used, forecast_p50, state FROM governance_status FINAL", [("b1", 40, 2, "ok")], sink
        )


def adjusted(rows: int) -> pa.Table:
    """Differences to `rows` events: one nano-dollar more for the first, two for the second."""
    given: dict[str, Any] = {
        "src_offset": pa.array(range(rows), pa.int64()),
        "cost_nanousd": pa.array(range(1, rows + 1), pa.int64()),
        "event_id": pa.array([f"e{row}" for row in range(rows)]),
        "booked_at": pa.array([NOON_US] * rows, TIMESTAMP),
        "occurred_at": pa.array([NOON_US] * rows, TIMESTAMP),
    }
    columns = [given.get(field.name, default_of(field, rows)) for field in ADJUSTED_EVENTS]
    return pa.Table.from_arrays(columns, schema=ADJUSTED_EVENTS)


def adjustment_message(value: bytes, form: AdjustmentForm, name: str = "reprice-1") -> BlockMessage:
    part = AdjustmentPart(name, "reprice", form, 0, 1, "a contract", "ada", NOON)
    return BlockMessage(value, [version_header(), part.header()])


def test_adjustments_are_written_once_and_tallies_are_passed_over(house: SinkHouse) -> None:
    for _ in range(2):
        house.put(
            house.topics.adjustments,
            0,
            [
                adjustment_message(b"", "tallies"),
                adjustment_message(to_ipc(adjusted(3)), "events"),
                BlockMessage(b"a foreigner's", []),
                adjustment_message(to_ipc(adjusted(1)), "events", "reprice-2"),
            ],
        )
    with house.running() as sink:
        house.wait_for(
            "SELECT adjustment_id, kind, reason, made_by, count(), sum(cost_nanousd) FROM usage_adjustments FINAL "
            "GROUP BY ALL ORDER BY adjustment_id",
            [("reprice-1", "reprice", "a contract", "ada", 3, 6), ("reprice-2", "reprice", "a contract", "ada", 1, 1)],
            sink,
        )
        name = house.topics.adjustments
        assert sink.metric("streamgauge_sink_unreadable_total", topic=name) == 2


def test_a_row_that_clickhouse_refuses_is_left_out_alone(house: SinkHouse) -> None:
    with Database.open(house.target, create=True) as database:
        migrate(database, SystemClock(), has_access_control=False)
        database.command("ALTER TABLE governance_alerts ADD CONSTRAINT no_third CHECK revision != 3")
    house.put(house.topics.alerts, 0, as_messages(*[alert(n).model_dump_json().encode() for n in range(7)]))
    with house.running() as sink:
        house.wait_for(
            "SELECT groupArray(revision) FROM (SELECT revision FROM governance_alerts FINAL ORDER BY revision)",
            [([0, 1, 2, 4, 5, 6],)],
            sink,
        )
        assert sink.metric("streamgauge_sink_unreadable_total", topic=house.topics.alerts) == 1


def test_outcomes_wait_for_kafka_and_clickhouse(
    own_kafka: ApacheKafka, topic_prefix: str, http_target: ClickHouseTarget
) -> None:
    """Kafka goes away with refusals in hand: they are waited out, and nothing is lost or doubled."""
    house = SinkHouse(own_kafka.bootstrap, topic_prefix, http_target)
    with house.running() as sink:
        house.put(house.topics.outcomes, 0, as_messages(outcome(0), outcome(1, minutes_saved=-1.0)))
        own_kafka.kill()
        wait_until(lambda: not sink.health.readiness().ok or sink.error is not None, lambda: "nobody noticed")
        sink.check()
        own_kafka.start()
        house.put(house.topics.outcomes, 1, as_messages(outcome(2), outcome(3, minutes_saved=-1.0)))
        house.wait_for("SELECT outcome_id FROM usage_outcomes FINAL ORDER BY 1", [("o0",), ("o2",)], sink)
        house.wait_for("SELECT event_id FROM usage_rejected FINAL ORDER BY 1", [("o1",), ("o3",)], sink)


def test_a_limit_on_outcomes_that_fail_for_their_schema() -> None:
    limit = OutcomeLimit(0.5, 100)
    limit.count(60, 30, "id 7 is unknown")
    limit.count(200, 10, "id 7 is unknown")
    with pytest.raises(SinkError, match=r"100 of the newest 100 outcomes.*id 7 is unknown.*REJECT_LIMIT_SHARE=0"):
        limit.count(100, 100, "id 7 is unknown")
    OutcomeLimit(0.0, 1).count(5_000, 5_000, "switched off")


def test_numbers_that_no_column_holds_are_unreadable() -> None:
    huge = json.loads(alert(0).model_dump_json()) | {"observed": 2**63}
    rows = alert_rows([Record(0, None, json.dumps(huge).encode(), NOON_US)], NOON_US)
    assert (rows.table.num_rows, [one.offset for one in rows.unreadable]) == (0, [0])
    rows = alert_rows([Record(0, None, alert(2**32).model_dump_json().encode(), NOON_US)], NOON_US)
    assert (rows.table.num_rows, "revision is 4294967296" in rows.unreadable[0].reason) == (0, True)


def test_a_moment_outside_of_the_calendar_is_refused_in_words() -> None:
    value = json.dumps(outcome(0, occurred_at=2**62)).encode()
    (rejection,) = OutcomeReader("usage.outcomes", None).read(0, [Record(0, None, value, NOON_US)]).rejections
    assert rejection.code == "too_far_ahead"
    assert "4611686018427387904" in rejection.message


def test_a_tombstone_retires_its_period() -> None:
    key = status_key("team|with|bars", NOON).encode()
    rows = status_rows([Record(3, key, None, NOON_US)], NOON_US)
    (row,) = rows.table.to_pylist()
    assert (row["budget_id"], row["period_start"]) == ("team|with|bars", NOON)
    assert (row["state"], row["evaluated_at"]) == ("retired", NOON)


def test_unreadable_records_are_told_and_their_neighbours_pass() -> None:
    good = Record(1, None, alert(0).model_dump_json().encode(), NOON_US)
    rows = alert_rows([Record(0, None, b"{", NOON_US), good, Record(2, None, None, NOON_US)], NOON_US)
    assert (rows.table.num_rows, [u.offset for u in rows.unreadable]) == (1, [0, 2])
    rows = rejected_rows([Record(0, None, b"\xff", NOON_US)], lambda _: "log", NOON_US)
    assert (rows.table.num_rows, [u.offset for u in rows.unreadable]) == (0, [0])
    rows = status_rows([Record(0, b"no bar", None, NOON_US)], NOON_US)
    assert (rows.table.num_rows, [u.offset for u in rows.unreadable]) == (0, [0])
