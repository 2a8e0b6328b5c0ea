"""What each state means for Alertmanager: told once, under labels that never change, and made anew from the topic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Alert
from streamgauge.forwarding.board import Board
from tests.streamgauge.alerts.samples import resolved, spike


def verdicts(*alerts: Alert, send_info: bool = False) -> list[str]:
    board = Board(send_info=send_info)
    return [board.take(alert)[0] for alert in alerts]


def test_each_state_is_told_once_and_a_replay_tells_nothing() -> None:
    states = [spike(), spike(revision=1), resolved(revision=2)]
    assert verdicts(*states, *states) == ["post"] * 3 + ["repeated"] * 3
    assert verdicts(resolved(revision=3)) == ["nothing_open"], "nobody heard of its beginning"


def test_one_that_begins_again_is_told_again() -> None:
    states = [spike(), resolved(revision=1), spike(revision=2, state="firing")]
    assert verdicts(*states) == ["post", "post", "post"]


def test_old_time_opens_nothing_but_may_end_what_is_open() -> None:
    old = spike(historical=True)
    assert verdicts(old, spike(revision=1, historical=True)) == ["history", "history"]
    assert verdicts(old, spike()) == ["history", "post"]
    assert verdicts(spike(), resolved(historical=True)) == ["post", "post"]
    assert verdicts(resolved(historical=True)) == ["history"]


def test_info_is_told_only_where_it_is_wanted() -> None:
    info = [spike(severity="info"), resolved(severity="info")]
    assert verdicts(*info) == ["info", "nothing_open"]
    assert verdicts(*info, send_info=True) == ["post", "post"]
    assert verdicts(spike(severity="info"), spike(revision=1)) == ["info", "post"], "it has become worse"
    assert verdicts(spike(), spike(revision=1, severity="info")) == ["post", "post"], (
        "who heard of it hears how it goes"
    )


def test_labels_stay_those_of_the_first_state_told() -> None:
    board = Board(send_info=False)
    board.take(spike(severity="warning", incident="unknown"))
    later = board.take(spike(revision=1, severity="critical", incident="runaway_loop"))[1]
    end = board.take(resolved(revision=2))[1]
    assert later is not None
    assert end is not None
    assert later.labels["severity"] == "warning"
    assert later.labels["incident"] == "unknown"
    assert end.labels == later.labels
    assert not list(board)


def test_open_ones_are_due_again_and_refused_ones_are_left_alone() -> None:
    board = Board(send_info=False)
    one, two = board.take(spike(1))[1], board.take(spike(2))[1]
    assert one is not None
    assert two is not None
    assert board.due(0, 60) == [one, two], "never posted"
    board.posted(one, 10)
    board.put_aside(two)
    assert board.due(69, 60) == []
    assert board.due(70, 60) == [one]
    news = board.take(spike(2, revision=1))[1]
    assert board.due(70, 60) == [one, news], "its next state is tried again"


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=40), st.data())
def test_a_board_made_anew_from_any_place_is_the_same(steps: list[tuple[int, bool, bool]], data: st.DataObject) -> None:
    """Whatever is told twice, and wherever a forwarder begins: the same alerts are open under the same labels."""
    revisions = dict.fromkeys(range(4), -1)
    alerts = []
    for number, ends, is_info in steps:
        revisions[number] += 1
        make = resolved if ends and revisions[number] else spike
        alerts.append(make(number, revisions[number], severity="info" if is_info else "warning"))
    whole, again = Board(send_info=False), Board(send_info=False)
    for alert in alerts:
        whole.take(alert)
    cut = data.draw(st.integers(0, len(alerts)))
    for alert in [*alerts[:cut], *alerts]:
        again.take(alert)
    assert [(one.alert, dict(one.labels)) for one in again] == [(one.alert, dict(one.labels)) for one in whole]
