"""Which partitions stand still, by looks at a group's offsets."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.standstill import NOTHING_COMMITTED, Look, Place, StandstillWatch

A, B = Place("usage.events", 0), Place("usage.events", 1)


def records(offsets: Mapping[Place, int]) -> dict[Place, bool]:
    return dict.fromkeys(offsets, True)


def markers(offsets: Mapping[Place, int]) -> dict[Place, bool]:
    return dict.fromkeys(offsets, False)


def silence(_offsets: Mapping[Place, int]) -> dict[Place, bool]:
    return {}


def at(committed: int, end: int, low: int = 0) -> Look:
    return Look(committed, None, low, end)


def test_one_partition_that_stands_is_named_while_another_moves() -> None:
    watch = StandstillWatch(longest_step_s=15)
    for step in range(5):
        standing = watch.look(step * 5.0, {A: at(10, 25), B: at(step * 100, 1_000)}, records)
    [one] = standing
    assert (one.place, one.offset, one.waiting, one.still_s) == (A, 10, 15, 20.0)
    assert one.told() == "usage.events[0] stands still at offset 10 with 15 waiting, for 20 s"
    assert watch.lag() == {A: 15, B: 600}


def test_an_empty_input_may_stand_for_ever_and_counts_from_what_comes() -> None:
    watch = StandstillWatch(longest_step_s=15)
    for step in range(100):
        assert watch.look(step * 5.0, {A: at(10, 10)}, records) == []
    assert watch.look(500.0, {A: at(10, 11)}, records) == []
    [one] = watch.look(505.0, {A: at(10, 11)}, records)
    assert one.still_s == 5.0


def test_the_end_of_a_transaction_is_no_input() -> None:
    watch = StandstillWatch(longest_step_s=15)
    for step in range(100):
        assert watch.look(step * 5.0, {A: at(10, 11)}, markers) == []
    assert watch.lag() == {A: 0}
    # A record comes behind the marker: it is asked again, and the time counts from when it was seen.
    assert watch.look(500.0, {A: at(10, 13)}, records) == []
    [one] = watch.look(505.0, {A: at(10, 13)}, records)
    assert one.still_s == 5.0


def test_an_intent_is_a_move() -> None:
    watch = StandstillWatch(longest_step_s=15)
    watch.look(0.0, {A: Look(10, None, 0, 20)}, records)
    assert watch.look(5.0, {A: Look(10, "next=20", 0, 20)}, records) == []
    [one] = watch.look(10.0, {A: Look(10, "next=20", 0, 20)}, records)
    assert one.still_s == 5.0


def test_nothing_committed_stands_at_the_beginning() -> None:
    watch = StandstillWatch(longest_step_s=15)
    asked: list[Mapping[Place, int]] = []

    def ask(offsets: Mapping[Place, int]) -> dict[Place, bool]:
        asked.append(dict(offsets))
        return records(offsets)

    for now in (0.0, 5.0):
        standing = watch.look(now, {A: at(NOTHING_COMMITTED, 30, low=20)}, ask)
    [one] = standing
    assert (one.offset, one.waiting) == (None, 10)
    assert asked == [{A: 20}]


def test_time_in_which_nobody_could_look_does_not_count() -> None:
    watch = StandstillWatch(longest_step_s=15)
    watch.look(0.0, {A: at(10, 25)}, records)
    [one] = watch.look(3_600.0, {A: at(10, 25)}, records)
    assert one.still_s == 15.0


def test_a_partition_that_went_and_came_back_begins_anew() -> None:
    watch = StandstillWatch(longest_step_s=15)
    for now in (0.0, 5.0, 10.0):
        watch.look(now, {A: at(10, 25)}, records)
    watch.look(15.0, {}, records)
    assert watch.look(20.0, {A: at(10, 25)}, records) == []


def test_no_answer_about_the_record_counts_as_input() -> None:
    watch = StandstillWatch(longest_step_s=15)
    for now in (0.0, 5.0, 10.0):
        standing = watch.look(now, {A: at(10, 25)}, silence)
    assert [one.still_s for one in standing] == [10.0]
