"""Parts are put together to ranges, and ranges to a chain: what is skipped, taken, or a hole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.positions import PositionError, SourceRange
from sinks.errors import SinkError
from sinks.events.chain import Chain
from sinks.events.intents import Intent, read_intent
from sinks.events.ranges import Assembler, RangeBlock
from tests.support.blocks import BlockMessage, enriched_table, range_messages


def feed(assembler: Assembler, messages: list[BlockMessage], at: int = 0) -> list[RangeBlock]:
    fed = (assembler.feed(at + n, message.headers, message.value) for n, message in enumerate(messages))
    return [block for block in fed if block is not None]


def messages(first: int, after: int, parts: int = 1) -> list[BlockMessage]:
    return range_messages(enriched_table(after - first, first=first), SourceRange(0, first, after), parts)


def block(first: int, after: int, at: int = 0) -> RangeBlock:
    return feed(Assembler(), messages(first, after), at)[0]


def test_parts_make_one_range() -> None:
    (found,) = feed(Assembler(), messages(10, 40, parts=3), at=7)
    assert (found.source.first, found.source.next, found.first_offset, found.last_offset) == (10, 40, 7, 9)
    assert found.table().column("src_offset").to_pylist() == list(range(10, 40))


def test_a_range_without_rows_is_one_message() -> None:
    (found,) = feed(Assembler(), range_messages(None, SourceRange(0, 5, 9)))
    assert (found.rows, found.table().num_rows) == (0, 0)


def test_a_copy_cut_short_is_replaced_by_its_repeat() -> None:
    whole = messages(0, 30, parts=3)
    assert len(feed(Assembler(), [whole[0], whole[1], *whole])) == 1
    assert len(feed(Assembler(), [whole[0], *messages(0, 30, parts=1)])) == 1


def test_stray_parts_are_left_out() -> None:
    whole = messages(0, 30, parts=3)
    assert feed(Assembler(), whole[1:]) == []
    assert feed(Assembler(), [whole[0], whole[2]]) == []
    (found,) = feed(Assembler(), [whole[2], *messages(30, 40)])
    assert found.source.first == 30


def test_a_block_that_contradicts_its_ledger_row_stops_the_sink() -> None:
    (found,) = feed(Assembler(), range_messages(enriched_table(5), SourceRange(0, 0, 5), enriched=6))
    with pytest.raises(SinkError, match=r"says 6 events, the blocks hold 5"):
        found.table()


def test_foreign_messages_are_named() -> None:
    with pytest.raises(PositionError, match="not written by streamgauge enrich"):
        Assembler().feed(0, None, b"hello")


def test_columns_of_other_versions() -> None:
    table = enriched_table(2).drop_columns(["price_note"]).append_column("of_tomorrow", enriched_table(2)["event_id"])
    (found,) = feed(Assembler(), range_messages(table, SourceRange(0, 0, 2)))
    assert "of_tomorrow" not in found.table().column_names
    assert found.table()["price_note"].null_count == 2


def test_place() -> None:
    chain = Chain(0, applied=100, resume=0)
    assert chain.place(block(50, 100)) == "skipped"
    assert chain.place(block(100, 120)) == "taken"
    assert chain.place(block(120, 130)) == "hole"
    chain.take(block(100, 120), now=1.0)
    assert chain.place(block(100, 120)) == "skipped"
    assert chain.place(block(120, 130)) == "taken"
    assert Chain(0, applied=None, resume=None).place(block(77, 80)) == "taken", (
        "nothing known: take the first range met"
    )


def test_due_by_rows_and_age() -> None:
    chain = Chain(0, applied=0, resume=0)
    assert not chain.due(99.0, 10, 1.0)
    chain.take(block(0, 5), now=10.0)
    assert not chain.due(10.9, 10, 1.0)
    assert chain.due(11.0, 10, 1.0)
    chain.take(block(5, 10), now=10.5)
    assert chain.due(10.5, 10, 1.0)
    assert chain.planned() == Intent(0, 10, 0, 1)
    chain.done()
    assert (chain.applied, chain.resume, chain.pending) == (10, 1, [])


def test_an_intent_is_met_exactly() -> None:
    chain = Chain(0, applied=0, resume=0, intent=Intent(0, 10, 0, 2))
    chain.take(block(0, 5), now=0.0)
    assert not chain.due(1e9, 1, 0.0), "neither time nor rows end it before its end"
    chain.take(block(5, 10), now=0.0)
    assert chain.due(0.0, 1_000_000, 1e9)
    chain.done()
    assert chain.intent is None


def test_an_intent_that_cannot_be_met_is_dropped() -> None:
    chain = Chain(0, applied=None, resume=None, intent=Intent(50, 60, 5, 6))
    chain.take(block(0, 5), now=0.0)
    assert chain.intent is None


@given(st.tuples(*[st.integers(0, 2**63 - 1)] * 4))
def test_intents_come_back(numbers: tuple[int, int, int, int]) -> None:
    intent = Intent(*numbers)
    assert read_intent(intent.metadata()) == intent
    assert len(intent.metadata()) <= 85


@pytest.mark.parametrize("metadata", [None, "", "next=5", "sink2 1:2 3:4"])
def test_foreign_metadata_is_no_intent(metadata: str | None) -> None:
    assert read_intent(metadata) is None


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.data())
def test_any_repeats_of_a_chain_are_applied_once(lengths: list[int], data: st.DataObject) -> None:
    """However ranges are repeated from earlier places, each source offset is taken once and in order."""
    starts = [sum(lengths[:n]) for n in range(len(lengths))]
    ranges = [(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    order: list[int] = []
    for n in range(len(ranges)):
        back = data.draw(st.integers(0, n))
        order += range(back, n + 1)
    chain, taken = Chain(0, applied=None, resume=None), []
    for at, n in enumerate(order):
        first, after = ranges[n]
        found = RangeBlock(SourceRange(0, first, after), block(0, 1).ledger, (), at, at)
        if chain.place(found) == "taken":
            chain.take(found, 0.0)
            taken.append((first, after))
        if data.draw(st.booleans()) and chain.pending:
            chain.done()
    assert taken == ranges


def test_the_group_is_told_of_what_was_met_but_never_over_an_intent() -> None:
    def hint(**changes: Any) -> int | None:
        return replace(Chain(0, applied=10, resume=4, met=7), **changes).hint

    assert hint() == 7
    assert hint(told=7) is None
    assert hint(told=6) == 7
    assert hint(intent=Intent(10, 20, 4, 6)) is None, "the intent of the owner before is still to be repeated"
    assert hint(pending=[block(10, 20)]) is None, "what is pending is not in ClickHouse"
