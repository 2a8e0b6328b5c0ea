"""In: spoiled messages of our own topics. Out: what their readers made of them: read, or refused with a named error.

Nobody but our own roles writes there, so a reader may stop at such a message; what it may not do is to let an error of
some library out, go on with half of the rows, or die without a word.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import pyarrow as pa
from pydantic import ValidationError

from schemas.adjustments import ADJUSTED_EVENTS, AdjustmentPart, read_adjustment
from schemas.arrow_ipc import UnreadableBlock, from_ipc, to_ipc
from schemas.control.records import dump_record, parse_record, record_key
from schemas.enriched import ENRICHED
from schemas.positions import (
    Headers,
    Mark,
    PositionError,
    SourceRange,
    read_ledger,
    read_mark,
    read_range,
    read_version,
    version_header,
)
from schemas.prices.card import Provisional
from schemas.tallies import TALLIES
from sinks.errors import SinkError
from sinks.events.ranges import Assembler
from sinks.records.record_rows import Record, Rows, alert_rows, rejected_rows, status_rows
from streams.agents.state_records import StateError, read_checkpoints, sums_table, write_checkpoint
from streams.agents.tally_message import UnreadableTally, read_tally
from streams.enrich.fingerprint_log import read_fingerprints
from streams.enrich.rules import RulesCompiler
from tests.fuzz.mutations import BINARY, JSON, NUMBERS, spoil
from tests.fuzz.target import PER_CALL, Input, Surprise
from tests.schemas.samples import ALERT, REJECTION, STATUS
from tests.streams.agents.samples import cell
from tests.streams.agents.samples import table as tally_table
from tests.streams.enrich.oracle import RECORDS
from tests.support.blocks import NOON_US, busy_table, default_of, enriched_table, ledger_of
from tests.support.enrich import snapshot_of

_LZ4: Final = b"\x04\x22\x4d\x18"
#: Between the sizes of the small blocks here and of the large one.
_BUSY_BYTES: Final = 60_000
_SOURCE: Final = SourceRange(3, 100, 400)


def spoil_arrow(rnd: random.Random, value: bytes) -> bytes:
    """As any bytes; and the length that a compressed buffer says it has unpacked, which may be more than there is."""
    if rnd.random() < 0.2 and _LZ4 in value:
        found = max(8, value.find(_LZ4, rnd.randrange(len(value))), value.find(_LZ4))
        at = found - 8
        number = rnd.choice((*NUMBERS, 2**34, 2**36)) & (2**64 - 1)
        return value[:at] + number.to_bytes(8, "little") + value[at + 8 :]
    return spoil(rnd, value, BINARY)


def look_at(table: pa.Table) -> None:
    """At every value: memory that is not ours would be met here."""
    for column in table.columns:
        # Not every time is one that Python has a name for.
        (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()


class ArrowTarget:
    """One reader of Arrow blocks. `read` gives the columns, or one of the errors that have names."""

    def __init__(self, name: str, tables: Sequence[pa.Table], read: Callable[[bytes | None], pa.Table | None]) -> None:
        self.name = name
        self._goods = [to_ipc(table) for table in tables]
        self._read = read

    def inputs(self, rnd: random.Random) -> list[Input]:
        return [Input("Arrow", spoil_arrow(rnd, rnd.choice(self._goods))) for _ in range(PER_CALL)]

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for one in inputs:
            try:
                table = self._read(one.value)
            except (UnreadableBlock, UnreadableTally, SinkError, PositionError) as refused:
                outcomes[type(refused).__name__] += 1
                continue
            if table is not None:
                table.validate(full=True)
                look_at(table)
            outcomes["read"] += 1
        return outcomes


def read_block(value: bytes | None) -> pa.Table:
    """As the sink does."""
    rows = 40 if value is None or len(value) < _BUSY_BYTES else 300
    ledger = ledger_of(None, _SOURCE, enriched=rows, duplicates=0)
    headers: Headers = [version_header(), _SOURCE.header(), ledger.header()]
    block = Assembler().feed(7, headers, value)
    if block is None:
        raise Surprise("a range of one part is not whole")
    table = block.table()
    if table.schema != ENRICHED or table.num_rows != rows:
        raise Surprise(f"{table.num_rows} rows of another schema")
    return table


def read_sums(value: bytes | None) -> pa.Table | None:
    """As the agents do."""
    headers: Headers = [version_header(), _SOURCE.header(), Mark("range", 1, 2, 3, 4, 5).header()]
    table = read_tally(7, headers, value).table
    if table is not None and table.schema != TALLIES:
        raise Surprise("a tally of another schema")
    return table


def read_adjusted(value: bytes | None) -> pa.Table:
    return from_ipc(value, ADJUSTED_EVENTS)


def arrow_targets() -> list[ArrowTarget]:
    adjusted = pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(NOON_US, field.type), 5) if pa.types.is_timestamp(field.type) else default_of(field, 5)
            for field in ADJUSTED_EVENTS
        ],
        schema=ADJUSTED_EVENTS,
    )
    tallies = tally_table([cell(NOON_US + minute * 60_000_000, calls=minute) for minute in range(40)])
    return [
        ArrowTarget("blocks in the sink", [enriched_table(40), busy_table(40), busy_table(300)], read_block),
        ArrowTarget("tallies in the agents", [tallies, pa.concat_tables([tallies] * 8).combine_chunks()], read_sums),
        ArrowTarget("adjusted events", [adjusted], read_adjusted),
    ]


class HeaderTarget:
    """The headers of every message that enrich and corrections write."""

    name = "headers"

    def __init__(self) -> None:
        adjustment = AdjustmentPart("a-1", "reprice", "events", 0, 2, "why", "me", datetime(2026, 3, 2, tzinfo=UTC))
        written = (
            (version_header(), read_version),
            (_SOURCE.header(), read_range),
            (Mark("range", 1, None, 3, 4, 5).header(), read_mark),
            (ledger_of(None, _SOURCE).header(), read_ledger),
            (adjustment.header(), read_adjustment),
        )
        self._goods = {name: value for (name, value), _ in written}
        self._readers: dict[str, Callable[[Headers], Any]] = {name: read for (name, _), read in written}

    def inputs(self, rnd: random.Random) -> list[Input]:
        names = sorted(self._goods)
        return [
            Input(name, spoil(rnd, self._goods[name], rnd.choice((JSON, BINARY))))
            for name in (rnd.choice(names) for _ in range(PER_CALL))
        ]

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for one in inputs:
            try:
                read = self._readers[one.form]([(one.form, one.value)])
            except PositionError as refused:
                if len(str(refused)) > 2_000:
                    raise Surprise(f"a sentence of {len(str(refused))} characters") from refused
                outcomes["PositionError"] += 1
                continue
            if isinstance(read, SourceRange) and not (read.first <= read.next and read.part < read.parts):
                raise Surprise(f"a range that is none: {read}")
            outcomes["read"] += 1
        return outcomes


class ControlTarget:
    """Documents of `governance.control`: read, or passed over with a log line; and what was read can be compiled."""

    name = "control documents"

    def __init__(self) -> None:
        self._goods = [dump_record(record) for record in RECORDS]
        # One compiler for all: it compiles the rate card only where prices change.
        self._compiler = RulesCompiler(Provisional())
        self._positions = count(1)

    def inputs(self, rnd: random.Random) -> list[Input]:
        return [Input("JSON", spoil(rnd, rnd.choice(self._goods), JSON)) for _ in range(PER_CALL)]

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        records = []
        for one in inputs:
            try:
                records.append(parse_record(one.value or b""))
            except ValidationError:
                outcomes["ValidationError"] += 1
                continue
            outcomes["read"] += 1
        for record in records:
            if record.kind != "price":
                self._compiler.compile(snapshot_of(record, position=next(self._positions)))
            if parse_record(dump_record(record)) != record or not record_key(record):
                raise Surprise(f"a record does not come back: {record!r:.300}")
        return outcomes


class RecordsTarget:
    """Rejections, alerts and statuses in the sink: each becomes a row or is told apart; nothing is raised."""

    name = "records in the sink"

    def __init__(self) -> None:
        self._goods = {
            "rejection": REJECTION.model_dump_json().encode(),
            "alert": ALERT.model_dump_json().encode(),
            "status": STATUS.model_dump_json().encode(),
        }
        self._read: dict[str, Callable[[Sequence[Record]], Rows]] = {
            "rejection": lambda records: rejected_rows(records, lambda topic: f"log of {topic}", NOON_US),
            "alert": lambda records: alert_rows(records, NOON_US),
            "status": lambda records: status_rows(records, NOON_US),
        }

    def inputs(self, rnd: random.Random) -> list[Input]:
        found = []
        for _ in range(PER_CALL):
            form = rnd.choice(sorted(self._goods))
            good = self._goods[form]
            found.append(Input(form, good, 0) if rnd.random() < 0.1 else Input(form, spoil(rnd, good, JSON)))
        return found

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for form, read in self._read.items():
            mine = [one for one in inputs if one.form == form]
            records = [Record(place, b"b|2026-01-01T00:00:00+00:00", one.value, 5) for place, one in enumerate(mine)]
            rows = read(records)
            if rows.table.num_rows + len(rows.unreadable) != len(mine):
                raise Surprise(f"{len(mine)} of form {form} became {rows.table.num_rows} rows")
            bad = {one.offset for one in rows.unreadable}
            if any(one.good is not None and place in bad for place, one in enumerate(mine)):
                raise Surprise(f"a good {form} is unreadable")
            rows.table.validate(full=True)
            outcomes["unreadable"] += len(bad)
            outcomes["read"] += sum(one.good is None for one in mine) - len(bad)
        return outcomes


class StateTarget:
    """Checkpoints of the agents: one record of them spoiled."""

    name = "checkpoints"

    def __init__(self) -> None:
        import numpy as np

        keys = np.arange(50, dtype=np.uint64)
        table = sums_table(keys, np.ones((50, 3), np.int64))
        written = write_checkpoint(0, True, {"next": 5}, {"minute": table, "day": table}, [])
        written += write_checkpoint(1, False, {"next": 6}, {"minute": table}, [])
        self._goods = {key: value for key, value in written if value is not None}

    def inputs(self, rnd: random.Random) -> list[Input]:
        return [
            Input(key, spoil_arrow(rnd, self._goods[key]) if "meta" not in key else spoil(rnd, self._goods[key], JSON))
            for key in (rnd.choice(sorted(self._goods)) for _ in range(PER_CALL))
        ]

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for one in inputs:
            try:
                checkpoints = read_checkpoints(self._goods | {one.form: one.value or b""})
            except StateError:
                outcomes["StateError"] += 1
                continue
            for table in (table for checkpoint in checkpoints for table in checkpoint.tables.values()):
                look_at(table)
            outcomes["read"] += 1
        return outcomes


class FingerprintTarget:
    """Values of `usage.fingerprints`."""

    name = "fingerprints"

    def inputs(self, rnd: random.Random) -> list[Input]:
        return [Input("words", spoil(rnd, rnd.randbytes(16 * rnd.randrange(30)), BINARY)) for _ in range(PER_CALL)]

    def check(self, inputs: Sequence[Input]) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for one in inputs:
            try:
                rows = read_fingerprints(one.value)
            except PositionError:
                outcomes["PositionError"] += 1
                continue
            if len(rows.ids) != len(rows.notes):
                raise Surprise(f"{len(rows.ids)} ids and {len(rows.notes)} notes")
            outcomes["read"] += 1
        return outcomes
