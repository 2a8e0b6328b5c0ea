"""Headers of enrich's outputs: what is written is read back, and anything else is refused with a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.positions import (
    LEDGER_HEADER,
    MARK_HEADER,
    PAYLOAD_VERSION,
    RANGE_HEADER,
    VERSION_HEADER,
    Headers,
    LedgerRow,
    Mark,
    PositionError,
    SourceRange,
    read_ledger,
    read_mark,
    read_range,
    read_version,
    version_header,
)

INT64 = st.integers(0, 2**63 - 1)
MAYBE = st.none() | INT64
RANGES = st.builds(
    lambda partition, ends, part, more: SourceRange(partition, min(ends), max(ends), part, part + more),
    st.integers(0, 9_999),
    st.tuples(INT64, INT64),
    st.integers(0, 999),
    st.integers(1, 999),
)
MARKS = st.builds(Mark, st.sampled_from(["range", "idle"]), MAYBE, MAYBE, MAYBE, INT64, MAYBE)
LEDGERS = st.builds(
    LedgerRow,
    **{name: INT64 for name in LedgerRow.__slots__ if name not in ("min_event_us", "max_event_us", "card")},
    min_event_us=MAYBE,
    max_event_us=MAYBE,
    card=st.text(max_size=40),
)


@given(RANGES, MARKS, LEDGERS)
def test_headers_round_trip(source_range: SourceRange, mark: Mark, ledger: LedgerRow) -> None:
    """As librdkafka gives headers (a list), and as Faust may (a dict)."""
    written = [version_header(), source_range.header(), mark.header(), ledger.header()]
    as_list: Headers = [("other", b"\xff"), ("none", None), *written]
    for headers in (as_list, dict(as_list)):
        assert read_range(headers) == source_range
        assert read_mark(headers) == mark
        assert read_ledger(headers) == ledger
        read_version(headers)


def test_header_bytes_never_change() -> None:
    """They stand on topics, so that a reader of another version meets these very bytes."""
    assert SourceRange(3, 100, 250).header() == ("sg-range", b"3:100:250:0:1")
    assert version_header() == ("sg-version", b"3")
    assert Mark("idle", None, 5, 6, 7, 8).header() == (
        "sg-mark",
        b'{"kind":"idle","watermark_us":null,"max_event_us":5,"append_us":6,"control":7,"sent_us":8}',
    )
    row = LedgerRow(3, 100, 250, 150, 140, 6, 4, 1, 9_000, 800, 12_345, 2, 3, 10, 20, 30, "card-1", 7)
    assert row.header() == (
        "sg-ledger",
        (
            b'{"partition":3,"first":100,"next":250,"read":150,"enriched":140,"duplicates":6,"rejected":4,"late":1,'
            b'"input_tokens":9000,"output_tokens":800,"cost_nanousd":12345,"unpriced":2,"unattributed":3,'
            b'"min_event_us":10,"max_event_us":20,"append_us":30,"card":"card-1","control":7}'
        ),
    )


def test_headers_of_version_1_are_read() -> None:
    """They stand on topics still while the first worker of version 2 starts."""
    mark = b'{"kind":"idle","watermark_us":null,"max_event_us":5,"append_us":6,"control":7}'
    read_version([(VERSION_HEADER, b"1")])
    assert read_mark([(MARK_HEADER, mark)]) == Mark("idle", None, 5, 6, 7, sent_us=None)


@pytest.mark.parametrize("headers", [None, [], [("other", b"1")]], ids=["none", "empty", "foreign"])
@pytest.mark.parametrize(
    ("name", "read"),
    [
        (RANGE_HEADER, read_range),
        (MARK_HEADER, read_mark),
        (LEDGER_HEADER, read_ledger),
        (VERSION_HEADER, read_version),
    ],
)
def test_a_missing_header_is_named(name: str, read: object, headers: list[tuple[str, bytes]] | None) -> None:
    assert callable(read)
    with pytest.raises(
        PositionError, match=f"^header {name} is missing: this message was not written by streamgauge enrich$"
    ):
        read(headers)


def test_a_newer_payload_is_refused_with_the_way_out() -> None:
    newer = PAYLOAD_VERSION + 1
    with pytest.raises(
        PositionError, match=f"^payload version {newer} is newer than {PAYLOAD_VERSION}: upgrade this process first$"
    ):
        read_version([(VERSION_HEADER, str(newer).encode())])


MARK = b'{"kind":"range","watermark_us":1,"max_event_us":2,"append_us":3,"control":4}'
UNREADABLE = [
    pytest.param(RANGE_HEADER, read_range, b"x:1:2:0:1", id="range of letters"),
    pytest.param(RANGE_HEADER, read_range, b"1:2:3:0", id="range of four"),
    pytest.param(RANGE_HEADER, read_range, b"1:2:3:0:1:9", id="range of six"),
    pytest.param(RANGE_HEADER, read_range, b"1:3:2:0:1", id="range that ends before it begins"),
    pytest.param(RANGE_HEADER, read_range, b"1:2:3:1:1", id="part behind the last"),
    pytest.param(RANGE_HEADER, read_range, b"1:2:" + b"9" * 5_000 + b":0:1", id="range of 5,000 digits"),
    pytest.param(MARK_HEADER, read_mark, b"{", id="mark that is no JSON"),
    pytest.param(MARK_HEADER, read_mark, b"{}", id="mark without fields"),
    pytest.param(MARK_HEADER, read_mark, MARK.replace(b"range", b"other"), id="mark of another kind"),
    pytest.param(MARK_HEADER, read_mark, MARK.replace(b":4", b':"4"'), id="mark with a number as text"),
    pytest.param(MARK_HEADER, read_mark, MARK.replace(b":4", b":true"), id="mark with a truth for a number"),
    pytest.param(MARK_HEADER, read_mark, MARK.replace(b":4", b":null"), id="mark without a position"),
    pytest.param(MARK_HEADER, read_mark, MARK.replace(b":4", b":9223372036854775808"), id="mark beyond 64 bits"),
    pytest.param(MARK_HEADER, read_mark, b"[" * 100_000, id="mark nested too deep"),
    pytest.param(LEDGER_HEADER, read_ledger, b"\xff", id="ledger that is no text"),
    pytest.param(VERSION_HEADER, read_version, b"one", id="version in words"),
    pytest.param(VERSION_HEADER, read_version, b"9" * 5_000, id="version of 5,000 digits"),
]


@pytest.mark.parametrize(("name", "read", "value"), UNREADABLE)
def test_an_unreadable_header_is_named(name: str, read: object, value: bytes) -> None:
    assert callable(read)
    with pytest.raises(PositionError, match=f"^header {name} is unreadable"):
        read([(name, value)])


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    """Workers of version N and N+1 run side by side during an upgrade."""
    name, value = Mark("range", 1, 2, 3, 4).header()
    assert read_mark([(name, value[:-1] + b',"new":1}')]) == Mark("range", 1, 2, 3, 4)


def test_ranges_sort_by_partition_and_offset() -> None:
    ranges = [SourceRange(1, 5, 9), SourceRange(0, 9, 12), SourceRange(0, 9, 12, 1, 2), SourceRange(0, 3, 9)]
    assert sorted(ranges) == [ranges[3], ranges[1], ranges[2], ranges[0]]
