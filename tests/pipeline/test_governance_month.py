"""A month of one team: warning, soft, hard; an exception that lifts it and expires; and the month turns.

The exact sequence of alerts, statuses and steps of the exception, the same on the embedded broker and on Apache Kafka.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Final

import pytest

from schemas.alerts import Alert
from schemas.control.acknowledgements import Acknowledgement
from schemas.control.budgets import Budget, Scope
from schemas.control.decisions import Decision
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from schemas.control.exceptions import ExceptionGrant
from schemas.control.snapshot import ControlSnapshot
from schemas.status import BudgetStatus
from sinks.config import ClickHouseTarget
from streamgauge.asking import open_database
from streamgauge.embedded.child import LOOPBACK
from streamgauge.exceptions.decisions import decide
from streamgauge.exceptions.outcomes import read_outcomes
from streamgauge.exceptions.signing import authenticate
from streamgauge.tail import read_topic
from tests.streamgauge.exceptions.people import principal
from tests.support.enrich import event, send_events
from tests.support.house import TestHouse, wait_for

pytestmark = pytest.mark.slow

#: The month ends in Berlin, an hour or two before it does in UTC: the clock changes on 29 March.
BUDGET: Final = Budget(
    id="search-month",
    scope=Scope(team="search"),
    unit="tokens",
    limit=Decimal(1_000),
    plan=Decimal(900),
    period="month",
    time_zone="Europe/Berlin",
    mode="enforce",
)
WAIT_S: Final = 60.0


def march(day: int, hour: int = 12, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.fixture
def house(bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TestHouse]:
    environment = {
        # Event time goes by its newest event, and a month that is past is told as if it were now.
        "STREAMGAUGE_ENRICH__LATENESS_S": "0",
        "STREAMGAUGE_AGENTS__HISTORICAL_AFTER_S": str(3_650 * 86_400),
        "STREAMGAUGE_AGENTS__SETTLE_MS": "50",
        "STREAMGAUGE_AGENTS__CHECKPOINT_S": "0.2",
    }
    with TestHouse(bootstrap, tmp_path, f"{topic_prefix}.", partitions=(1, 2), environment=environment) as running:
        yield running


class Month:
    """What was done so far, and what the house said to it."""

    def __init__(self, house: TestHouse, folder: Path) -> None:
        self.house = house
        self.people = [principal(folder, "ada", "manager", teams=("search",)), principal(folder, "fin", "finance")]
        records = {f"principal/{one.id}": one for one in self.people} | {"budget/search-month": BUDGET}
        self.control = ControlSnapshot(0, records)
        self.signers = {one.id: authenticate(self.control, folder / one.id, lambda: "", one.id) for one in self.people}
        self.events = 0
        self.told = 0

    def use(self, tokens: int, at: datetime) -> None:
        self.events += 1
        one = event(
            self.events,
            occurred_at=round(at.timestamp() * 1_000_000),
            credential_id="key-search",
            input_tokens=tokens,
            output_tokens=0,
        )
        send_events(self.house.connection, self.house.topics, [one])

    def alerts(self) -> list[Alert]:
        topic = self.house.topics.alerts
        return [
            Alert.model_validate_json(one.value)
            for one in read_topic(self.house.connection, topic)
            if one.value is not None and (b'"kind":"budget"' in one.value or b'"kind":"exception"' in one.value)
        ]

    def statuses(self) -> list[BudgetStatus]:
        """Every status told, oldest first."""
        return [
            BudgetStatus.model_validate_json(one.value)
            for one in read_topic(self.house.connection, self.house.topics.status)
            if one.value is not None and one.key is not None and one.key.startswith(b"search-month|")
        ]

    def status_is(self, why: Callable[[BudgetStatus], bool], what: str) -> BudgetStatus:
        """The newest status, once it is so."""
        wait_for(lambda: any(why(one) for one in self.statuses()[-1:]), WAIT_S, f"the status to be {what}")
        return self.statuses()[-1]

    def says(self, *expected: tuple[str, str]) -> list[Alert]:
        """Waits for exactly these alerts, in this order, and returns them; (level or step, state)."""
        wanted = self.told + len(expected)
        with suppress(AssertionError):
            wait_for(lambda: len(self.alerts()) >= wanted, WAIT_S, "what is compared below")
        new = self.alerts()[self.told :]
        assert _names(new) == list(expected)
        self.told = wanted
        return new


def _names(alerts: list[Alert]) -> list[tuple[str, str]]:
    return [(one.exception.step if one.exception else str(one.level), one.state) for one in alerts]


def test_a_month_of_one_team(house: TestHouse, tmp_path: Path) -> None:
    month = Month(house, tmp_path)
    team = Team(id="search", terms=(TeamTerm(owner="ada"),))
    key = Sender(sender="credential", id="key-search", terms=(Membership(team="search"),))
    house.apply(team, key, BUDGET, *month.people)
    house.start()

    month.use(500, march(3))
    month.status_is(lambda one: one.used == 500 and one.state == "ok", "ok at 500")
    month.use(350, march(8))
    [warning] = month.says(("warning", "firing"))
    assert (warning.severity, warning.observed, warning.owner) == ("info", 850, BUDGET.owner)
    month.use(200, march(12))
    month.says(("soft", "firing"))
    month.status_is(lambda one: one.state == "soft" and one.acknowledged is None, "soft")

    # A manager acknowledges, and it goes on.
    word = Decision(verdict="acknowledged", by="ada", at=march(13), via="signature")
    ack = Acknowledgement(id=BUDGET.id, period_start=datetime(2026, 2, 28, 23, tzinfo=UTC), decision=word)
    said = month.signers["ada"].decision(ack, "acknowledged", march(13))
    house.apply(ack.model_copy(update={"decision": said}))
    month.says(("soft", "updated"))
    month.status_is(lambda one: one.acknowledged is not None and one.acknowledged.by == "ada", "acknowledged")

    month.use(200, march(15))
    [hard] = month.says(("hard", "firing"))
    assert (hard.severity, hard.observed, hard.limit, hard.pages) == ("critical", 1_250, 1_000, True)
    month.status_is(lambda one: one.state == "hard" and one.would_stop, "hard")

    # The team asks for 500 more from the 16th to the 20th, and finance approves.
    asked = ExceptionGrant(
        id="launch",
        budget=BUDGET.id,
        extra=Decimal(500),
        justification="launch week",
        expected_impact="twice the answers",
        requested_by="ada",
        requested_at=march(15, 13),
        valid_from=march(16),
        valid_to=march(20),
    )
    house.apply(asked)
    month.says(("requested", "firing"))
    house.apply(decide(asked, "approved", month.signers["fin"], month.control, march(15, 14), None))
    [approved] = month.says(("approved", "updated"))
    assert approved.exception is not None
    assert (approved.exception.by, approved.exception.extra) == ("fin", 500)
    assert month.statuses()[-1].state == "hard", "approved, but event time is not there yet"

    month.use(10, march(16, 13))
    month.says(("in_force", "updated"), ("warning", "updated"), ("soft", "resolved"), ("hard", "resolved"))
    lifted = month.status_is(lambda one: one.exceptions == ("launch",), "lifted")
    assert (lifted.state, lifted.limit, lifted.extra, lifted.used, lifted.would_stop) == (
        "warning",
        1_500,
        500,
        1_260,
        False,
    )
    month.use(300, march(18))
    month.says(("soft", "firing"))
    month.status_is(lambda one: one.state == "soft" and one.used == 1_560, "soft at the lifted limit")

    # It ends by itself: 500 of it were used, and the limit of the document holds again.
    month.use(1, march(21))
    expired, *_ = month.says(("expired", "resolved"), ("warning", "updated"), ("soft", "updated"), ("hard", "firing"))
    assert expired.exception is not None
    assert expired.exception.used_of_extra == 500
    again = month.status_is(lambda one: one.state == "hard" and not one.exceptions, "hard again")
    assert (again.limit, again.extra, again.used) == (1_000, 0, 1_561)

    # 23:30 in Berlin is still March; half past midnight is April.
    month.use(1, march(31, 21))
    month.use(5, march(31, 22))
    turned = month.says(("hard", "resolved"), ("soft", "resolved"), ("warning", "resolved"))
    assert {one.observed for one in turned} == {1_562}
    april = month.status_is(lambda one: one.period.start == datetime(2026, 3, 31, 22, tzinfo=UTC), "April's")
    assert (april.state, april.used, april.limit, april.acknowledged) == ("ok", 5, 1_000, None)

    states = [(one.state, one.limit) for one in month.statuses()]
    assert [state for state, _ in groupby(states)] == [
        ("ok", 1_000),
        ("warning", 1_000),
        ("soft", 1_000),
        ("hard", 1_000),
        ("warning", 1_500),
        ("soft", 1_500),
        ("hard", 1_000),
        ("ok", 1_000),
    ]
    rows = "SELECT step, decided_by, used_of_extra FROM governance_alerts WHERE kind = 'exception' ORDER BY revision"
    wait_for(lambda: len(house.query(rows)) == 4, WAIT_S, "the exception's steps in ClickHouse")
    assert [tuple(row) for row in house.query(rows)] == [
        ("requested", "ada", None),
        ("approved", "fin", None),
        ("in_force", None, None),
        ("expired", None, 500),
    ]
    with open_database(ClickHouseTarget(LOOPBACK, house.clickhouse.port)) as database:
        [outcome] = read_outcomes(database, march(1))
    assert (outcome.exception_id, outcome.granted, outcome.used, outcome.last_step) == ("launch", 500, 500, "expired")
    assert (outcome.decided_by, outcome.unit, outcome.valid_to) == ("fin", "tokens", march(20))
    assert len(month.alerts()) == month.told, "nothing was told twice"
    assert not any(alert.historical for alert in month.alerts())
