"""In: raw message values, in any mix of framings and schema versions. Out: one table in source order, and the failures.

Values are grouped by writer schema, each group is decoded in one native call, and the groups are put back in order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import fastavro
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.avro_schemas import by_fingerprint
from schemas.decoding.align import SchemaMismatch, align, columns_of
from schemas.decoding.as_json import as_json
from schemas.decoding.avro_columns import Writer, decode_datums, supports
from schemas.decoding.failure import Failure
from schemas.decoding.json_rows import JsonRows
from schemas.decoding.not_utf8 import rows_not_utf8
from schemas.framing import CONFLUENT_HEADER_BYTES, SINGLE_OBJECT_HEADER_BYTES, FramingError, read_frame

Int32s = npt.NDArray[np.int32]

#: What fastavro raises for a document that is no Avro schema; a number that no float holds is among them.
_NO_SCHEMA = (
    ValueError,
    LookupError,
    TypeError,
    OverflowError,
    RecursionError,
    fastavro.schema.SchemaParseException,
)


class UnknownSchema(LookupError):
    """The registry answers that it has no such schema: the message can be refused. An outage is another error."""


class SchemaSourceAway(ConnectionError):
    """The registry does not answer: nothing is known about the message yet, so it is waited out, never refused."""


class SchemaSource(Protocol):
    """Knows the writer schemas of the Confluent framing. May block on its first call for an id."""

    def schema_text(self, schema_id: int) -> str:
        """The schema as JSON. Raises UnknownSchema when there is none, SchemaSourceAway when it cannot be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """`table` has the current columns; row i came from event `index[i]` of value `message[i]`. Rows are in source
    order.
    """

    table: pa.Table
    message: Int32s
    index: Int32s
    failures: list[Failure]
    unknown_fields: int


@dataclass(frozen=True, slots=True)
class _Refused:
    """Why nothing that this writer schema wrote can be read."""

    code: Literal["unknown_schema", "schema_mismatch"]
    sentence: str


@dataclass(frozen=True, slots=True)
class _Form:
    """How to read what one writer schema wrote: `batch` tells the array form from the single one."""

    writer: Writer
    batch: bool


@dataclass(frozen=True, slots=True)
class _Group:
    """Values of one writer schema: their places and, without the header, their datums."""

    places: Sequence[int]
    datums: list[bytes]


class Decoder:
    """Decodes values of one topic. Keeps what it learned of writer schemas; not thread-safe."""

    def __init__(self, event: Literal["usage_event", "outcome_event"], schemas: SchemaSource | None = None) -> None:
        self._event = event
        self._source = schemas
        self._forms: dict[bytes, _Form | _Refused] = {}

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Decode all values. Nothing in them raises; an outage of the registry does: SchemaSourceAway."""
        failures: list[Failure] = []
        json_rows: JsonRows | None = None
        groups = _one_group(values)
        if groups is None:
            groups, json_rows = self._sort(values, failures)
        parts: list[tuple[pa.Table, Int32s, Int32s]] = []
        for header, group in groups.items():
            form = self._form(header)
            if isinstance(form, _Refused):
                failures.extend(Failure(place, 0, form.code, form.sentence) for place in group.places)
            else:
                parts.append(self._decode_group(form, group, failures))
        if json_rows is not None:
            failures.extend(json_rows.failures)
            parts.append((json_rows.table(), _int32(json_rows.message), _int32(json_rows.index)))
        table, message, index = self._join(parts)
        table, message, index = self._drop_not_utf8(table, message, index, failures)
        return Decoded(table, message, index, failures, json_rows.unknown_fields if json_rows else 0)

    def _sort(
        self, values: Sequence[bytes | None], failures: list[Failure]
    ) -> tuple[dict[bytes, _Group], JsonRows | None]:
        """Avro values by header, and the JSON ones, if any; what is neither goes to `failures`."""
        by_header: dict[bytes, list[int]] = {}
        json_rows: JsonRows | None = None
        for place, value in enumerate(values):
            # The first ten bytes tell framing and schema together, so most values cost one slice and one look-up.
            places = by_header.get(value[:SINGLE_OBJECT_HEADER_BYTES]) if value else None
            if places is None and value and value[0] == 0:
                places = by_header.get(value[:CONFLUENT_HEADER_BYTES])
            if places is not None:
                places.append(place)
                continue
            try:
                frame = read_frame(value)
            except FramingError as error:
                failures.append(Failure(place, 0, error.code, str(error)))
                continue
            assert value is not None
            if frame.framing == "json":
                json_rows = json_rows or JsonRows(self._event)
                json_rows.add(place, value)
            else:
                by_header[value[: frame.body_at]] = [place]
        groups = {
            header: _Group(places, [value[len(header) :] for place in places if (value := values[place]) is not None])
            for header, places in by_header.items()
        }
        return groups, json_rows

    def _decode_group(self, form: _Form, group: _Group, failures: list[Failure]) -> tuple[pa.Table, Int32s, Int32s]:
        columns = decode_datums(group.datums, form.writer)
        failures.extend(
            Failure(group.places[place], 0, "undecodable", f"the Avro datum cannot be read: {reason}")
            for place, reason in columns.bad.items()
        )
        message = np.fromiter(group.places, np.int32, len(group.places))
        if columns.bad:
            message = message[_int32(columns.kept)]
        if not form.batch:
            return align(columns.batch, self._event), message, np.zeros(len(message), np.int32)
        events = columns.batch.column(0)
        counts = np.diff(np.asarray(events.offsets)).astype(np.int64)
        rows = events.flatten()
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        index = (np.arange(len(rows)) - starts).astype(np.int32)
        table = align(pa.Table.from_arrays(rows.flatten(), names=[child.name for child in rows.type]), self._event)
        return table, np.repeat(message, counts).astype(np.int32), index

    def _join(self, parts: list[tuple[pa.Table, Int32s, Int32s]]) -> tuple[pa.Table, Int32s, Int32s]:
        if not parts:
            return columns_of(self._event).empty_table(), _int32([]), _int32([])
        if len(parts) == 1:
            return parts[0]
        table = pa.concat_tables([part[0] for part in parts])
        message = np.concatenate([part[1] for part in parts])
        index = np.concatenate([part[2] for part in parts])
        order = np.lexsort((index, message))
        return table.take(pa.array(order)), message[order], index[order]

    def _drop_not_utf8(
        self, table: pa.Table, message: Int32s, index: Int32s, failures: list[Failure]
    ) -> tuple[pa.Table, Int32s, Int32s]:
        """The native decoder does not look at text; Arrow's own validation does, at a tenth of the decoding's cost."""
        try:
            table.validate(full=True)
            return table, message, index
        except pa.ArrowInvalid:
            pass
        bad: dict[int, str] = {}
        for name, column in zip(table.column_names, table.columns, strict=True):
            bad.update((row, name) for row in rows_not_utf8(column) if row not in bad)
        events = np.bincount(message)
        for row, name in sorted(bad.items()):
            # Of a batch only the event itself is kept: the whole message once for each bad event would multiply it.
            raw = as_json(table.slice(row, 1)) if events[message[row]] > 1 else None
            failures.append(
                Failure(int(message[row]), int(index[row]), "not_utf8", f"field {name} is not UTF-8 text", raw)
            )
        keep = np.ones(table.num_rows, bool)
        keep[list(bad)] = False
        return table.filter(pa.array(keep)), message[keep], index[keep]

    def _form(self, header: bytes) -> _Form | _Refused:
        form = self._forms.get(header)
        if form is None:
            form = self._forms[header] = self._learn(header)
        return form

    def _learn(self, header: bytes) -> _Form | _Refused:
        if len(header) == SINGLE_OBJECT_HEADER_BYTES:
            known = by_fingerprint().get(header[2:])
            if known is None:
                return _Refused(
                    "unknown_schema", f"no schema of ours has the CRC-64-AVRO fingerprint {header[2:].hex()}"
                )
            if known.name not in (self._event, f"{self._event}_batch"):
                return _Refused("schema_mismatch", f"this topic carries {self._event}, the message is a {known.name}")
            return _Form(Writer.of(known.text), batch=known.name.endswith("_batch"))
        schema_id = int.from_bytes(header[1:], "big")
        if self._source is None:
            return _Refused(
                "unknown_schema", f"the message names registry schema {schema_id}, but no schema registry is configured"
            )
        try:
            return self._foreign(schema_id, self._source.schema_text(schema_id))
        except UnknownSchema:
            return _Refused("unknown_schema", f"the schema registry has no schema {schema_id}")

    def _foreign(self, schema_id: int, text: str) -> _Form | _Refused:
        """A schema that a registry gave: it may be older, newer or none of ours."""
        try:
            document = json.loads(text)
            fastavro.parse_schema(document)
        except _NO_SCHEMA as error:
            return _Refused("schema_mismatch", f"registry schema {schema_id} is no Avro schema: {error}")
        fields = document.get("fields", []) if isinstance(document, dict) else []
        batch = len(fields) == 1 and fields[0].get("name") == "events"
        if not fields or not supports(text):
            return _Refused(
                "schema_mismatch", f"registry schema {schema_id} is no record of types that {self._event} has"
            )
        try:
            empty = decode_datums([], Writer.of(text)).batch
            if batch:
                align(
                    pa.Table.from_arrays(
                        empty.column(0).flatten().flatten(), names=[f.name for f in empty.column(0).type.value_type]
                    ),
                    self._event,
                )
            else:
                align(empty, self._event)
        except (SchemaMismatch, AttributeError, TypeError) as error:
            return _Refused("schema_mismatch", f"registry schema {schema_id} does not fit {self._event}: {error}")
        return _Form(Writer.of(text), batch)


def _one_group(values: Sequence[bytes | None]) -> dict[bytes, _Group] | None:
    """All values as one group where they share an Avro header, as in nearly every batch of live traffic; else None.

    At one event per message a step of Python for each value is a good part of the work: here it is a single one.
    """
    if not values or not all(values):
        return None
    present = cast("Sequence[bytes]", values)
    try:
        header = present[0][: read_frame(present[0]).body_at]
    except FramingError:
        return None
    if not header:
        return None
    datums = [value.removeprefix(header) for value in present]
    shared = sum(map(len, present)) - sum(map(len, datums)) == len(header) * len(values)
    return {header: _Group(range(len(values)), datums)} if shared else None


def _int32(values: Sequence[int]) -> Int32s:
    return np.asarray(values, dtype=np.int32)
