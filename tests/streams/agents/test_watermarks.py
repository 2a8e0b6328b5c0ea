"""Event time of a shard: the slowest input that is not idle."""

from __future__ import annotations

from schemas.positions import Mark
from streams.agents.watermarks import Watermarks


def mark(us: int | None, kind: str = "range") -> Mark:
    return Mark("idle" if kind == "idle" else "range", us, us, us, 0)


def test_the_slowest_input_rules() -> None:
    watermarks = Watermarks(2)
    assert watermarks.observe(0, mark(100)).watermark_us is None, "partition 1 was never heard"
    assert watermarks.observe(1, mark(50)).watermark_us == 50
    assert watermarks.observe(1, mark(200)).watermark_us == 100


def test_an_idle_input_holds_nothing_back_until_it_speaks_again() -> None:
    watermarks = Watermarks(2)
    watermarks.observe(0, mark(100))
    assert watermarks.observe(1, mark(None, "idle")).watermark_us == 100
    assert watermarks.observe(1, mark(60)).watermark_us == 100, "it never goes back"
    assert watermarks.observe(0, mark(300)).watermark_us == 100
    assert watermarks.observe(1, mark(250)).watermark_us == 250


def test_when_all_are_idle_the_furthest_rules() -> None:
    watermarks = Watermarks(2)
    watermarks.observe(0, mark(100))
    watermarks.observe(1, mark(50))
    watermarks.observe(1, mark(50, "idle"))
    assert watermarks.observe(0, mark(100, "idle")).watermark_us == 100


def test_nothing_is_known_of_an_installation_without_events() -> None:
    watermarks = Watermarks(1)
    assert watermarks.observe(0, mark(None, "idle")).watermark_us is None
