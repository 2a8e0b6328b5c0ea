"""When a level was reached is told by event time, whatever order inputs are read in."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Alert
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Shard
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.tally_message import TallyMessage
from tests.streams.agents.samples import budget, budget_row, control, message, us

NOON = us("2026-11-10T12:00:00+00:00")
MINUTE = 60_000_000
QUARTER = 15 * MINUTE
BUDGET = budget("b", "100")
CONFIG = AgentsConfig(spikes=SpikePolicy(enabled=False))


def told(messages: Sequence[TallyMessage], inputs: int) -> list[Alert]:
    shard = Shard(0, Counts(inputs, 1), CONFIG)
    alerts: list[Alert] = []
    for one in messages:
        shard.offer(one)
        settlement = shard.settle(NOON, control(BUDGET), force=True)
        alerts += settlement.alerts if settlement is not None else ()
    return alerts


def test_an_input_that_was_read_late_moves_the_date_back() -> None:
    """Input 0 is read an hour ahead and fires; input 1 then shows that the level was reached before."""
    ahead = NOON + 60 * MINUTE
    messages = [
        message(0, 0, 10, ahead, [budget_row(BUDGET, NOON, "50"), budget_row(BUDGET, ahead, "35")], partition=0),
        message(1, 0, 10, NOON + QUARTER, [budget_row(BUDGET, NOON + QUARTER, "10")], partition=1),
        message(2, 10, 20, NOON + 2 * QUARTER, [budget_row(BUDGET, NOON + 2 * QUARTER, "30")], partition=1),
        message(3, 10, 20, ahead + 2 * QUARTER, [], partition=0),
        message(4, 20, 30, ahead + 2 * QUARTER, [], partition=1),
    ]
    warnings = [alert for alert in told(messages, 2) if alert.level == "warning"]
    assert [(alert.state, alert.revision) for alert in warnings] == [("firing", 0), ("updated", 1)]
    assert warnings[0].occurred_at.isoformat() == "2026-11-10T13:00:00+00:00"
    # 50 at noon, 60 by 12:30, 90 by 12:45: the quarter from 12:30 on reached it.
    assert warnings[1].occurred_at.isoformat() == "2026-11-10T12:45:00+00:00"


def test_a_date_that_was_right_is_not_told_again() -> None:
    messages = [
        message(0, 0, 10, NOON, [budget_row(BUDGET, NOON, "85")]),
        message(1, 10, 20, NOON + 60 * MINUTE, []),
    ]
    assert [alert.state for alert in told(messages, 1)] == ["firing"]


@given(st.permutations(range(6)))
def test_the_final_date_does_not_depend_on_the_order_of_inputs(order: list[int]) -> None:
    """Six inputs each spend 20 in a quarter of their own: 80 is reached in the fourth, whoever comes first."""
    messages = [
        message(at, 0, 10, NOON + p * QUARTER, [budget_row(BUDGET, NOON + p * QUARTER, "20")], partition=p)
        for at, p in enumerate(order)
    ]
    messages += [message(6 + p, 10, 20, NOON + 10 * QUARTER, [], partition=p) for p in range(6)]
    last = {alert.level: alert for alert in told(messages, 6)}
    assert last["warning"].occurred_at.timestamp() * 1e6 in (NOON + 3 * QUARTER, NOON + 4 * QUARTER)
    assert last["soft"].occurred_at.timestamp() * 1e6 in (NOON + 4 * QUARTER, NOON + 5 * QUARTER)
    assert last["hard"].occurred_at.timestamp() * 1e6 in (NOON + 5 * QUARTER, NOON + 6 * QUARTER)
