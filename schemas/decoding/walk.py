"""In: Avro datums of one flat writer schema. Out: which of them do not follow it, and why.

All datums are walked at once, field by field, as columns of positions: the cost is that of a native decode, however
many are bad. The rules are the native decoder's own, to the byte: whether an event is refused must never depend on the
company in which it was read. Fuzzing holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
#: Places in the columns of positions; None: all of them.
Rows = Ints | None
Bytes = npt.NDArray[np.uint8]

#: Zeros behind the last datum: positions run at most three numbers past the end before it is looked at.
_PAD: Final = bytes(64)
#: Datums walked together: their columns of positions stay in the processor's cache.
_TOGETHER: Final = 16_384
#: Entries of maps that are walked; what goes on behind them is left to the native decoder.
_MOST_STEPS: Final = 128

Kind = Literal["text", "number", "truth", "enum", "fixed", "null", "map"]

_ONE: Final = np.uint64(1)

ENDS: Final = "it ends before its last field"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `null_at`: the union branch of null (None: no union). `size`: symbols of an enum, bytes of a fixed
    value. `entry`: the values of a map.
    """

    name: str
    kind: Kind
    null_at: int | None = None
    size: int = 0
    entry: Field | None = None


@dataclass(frozen=True, slots=True)
class Walked:
    """`bad` maps datums to what is wrong with them; `unsettled` lists those whose maps are too long to walk."""

    bad: dict[int, str]
    unsettled: list[int]


def plan(document: Any) -> tuple[Field, ...] | None:
    """The fields of a record schema (parsed JSON); None for one that is not flat."""
    if not isinstance(document, dict) or document.get("type") != "record":
        return None
    fields = tuple(_field(one["name"], one["type"]) for one in document["fields"])
    return tuple(one for one in fields if one is not None) if None not in fields else None


def walk(datums: list[bytes], fields: tuple[Field, ...]) -> Walked:
    """Walk all datums."""
    bad: dict[int, str] = {}
    unsettled: list[int] = []
    for start in range(0, len(datums), _TOGETHER):
        walker = _Walker(datums[start : start + _TOGETHER])
        for field in fields:
            walker.pass_over(field)
        bad.update((start + row, reason) for row, reason in walker.bad.items())
        unsettled.extend(start + row for row in walker.unsettled)
    return Walked(bad, unsettled)


_KINDS: Final[dict[str, tuple[Kind, int]]] = {
    "string": ("text", 0),
    "bytes": ("text", 0),
    "int": ("number", 0),
    "long": ("number", 0),
    "boolean": ("truth", 0),
    "float": ("fixed", 4),
    "double": ("fixed", 8),
    "null": ("null", 0),
}


def _field(name: str, given: Any) -> Field | None:
    if isinstance(given, list):
        return _union(name, given)
    if isinstance(given, str):
        return Field(name, *_flat(given)) if given in _KINDS else None
    kind = given.get("type")
    if kind == "enum":
        return Field(name, "enum", size=len(given["symbols"]))
    if kind == "map":
        entry = _field("value", given["values"])
        flat = entry is not None and entry.kind != "map" and entry.null_at is None
        return Field(name, "map", entry=entry) if flat else None
    return _field(name, kind) if isinstance(kind, str) and kind in _KINDS else None


def _flat(name: str) -> tuple[Kind, int | None, int]:
    kind, size = _KINDS[name]
    return kind, None, size


def _union(name: str, branches: list[Any]) -> Field | None:
    if len(branches) != 2 or branches.count("null") != 1:
        return None
    null_at = branches.index("null")
    value = _field(name, branches[1 - null_at])
    return (
        None
        if value is None or value.null_at is not None
        else Field(name, value.kind, null_at, value.size, value.entry)
    )


class _Walker:
    """Where each datum that is good so far is being read. `at`, `end` and `row` have one length."""

    def __init__(self, datums: list[bytes]) -> None:
        lengths = np.fromiter(map(len, datums), np.int64, len(datums))
        self.bytes: Bytes = np.frombuffer(b"".join([*datums, _PAD]), np.uint8)
        self.end: Ints = np.cumsum(lengths)
        self.at: Ints = self.end - lengths
        self.row: Ints = np.arange(len(datums))
        self.bad: dict[int, str] = {}
        self.unsettled: list[int] = []
        #: Faults found within a field: row -> reason; the rows are dropped behind it.
        self._faults: dict[int, str] = {}

    def pass_over(self, field: Field) -> None:
        """Read one field of every datum and drop those that do not hold it."""
        rows: Rows = None
        if field.null_at is not None:
            byte = self.bytes[self.at]
            if bool(((byte == 0) | (byte == 2)).all()):
                self.at += 1
                present = byte == (2 if field.null_at == 0 else 0)
            else:
                branch = self._number(None)
                self._fault(None, (branch != 0) & (branch != 1), f"{field.name} names a union branch that it has not")
                present = branch == 1 - field.null_at
            rows = None if present.all() else np.flatnonzero(present)
        if rows is None or len(rows):
            self._value(field, rows)
        self._drop()

    def _value(self, field: Field, rows: Rows) -> None:
        """Read a value at `rows`."""
        if field.kind == "text":
            self._text(field.name, rows)
        elif field.kind == "number":
            self._number(rows)
        elif field.kind == "truth":
            at = self.at if rows is None else self.at[rows]
            self._fault(rows, self.bytes[at] > 1, f"{field.name} is neither true nor false")
            self._move(rows, at + 1)
        elif field.kind == "enum":
            value = self._number(rows)
            self._fault(rows, (value < 0) | (value >= field.size), f"{field.name} names a symbol that it has not")
        elif field.kind == "fixed":
            self._move(rows, (self.at if rows is None else self.at[rows]) + field.size)
        elif field.kind == "map" and field.entry is not None:
            self._map(field.name, field.entry, np.arange(len(self.at)) if rows is None else rows)

    def _number(self, rows: Rows) -> Ints:
        """Zigzag varints at `rows`, whose positions move behind them."""
        at = self.at if rows is None else self.at[rows]
        byte = self.bytes[at]
        at = at + 1
        value = (byte & 0x7F).astype(np.uint64)
        more = np.flatnonzero(byte > 0x7F)
        shift = 7
        while len(more):
            if shift > 63:
                long = np.zeros(len(at), bool)
                long[more] = True
                self._fault(rows, long, "a number in it has more than ten bytes")
                break
            byte = self.bytes[at[more]]
            at[more] += 1
            value[more] |= (byte & 0x7F).astype(np.uint64) << np.uint64(shift)
            more = more[byte > 0x7F]
            shift += 7
        self._move(rows, at)
        return (value >> _ONE).view(np.int64) ^ -((value & _ONE).view(np.int64))

    def _text(self, name: str, rows: Rows) -> None:
        length = self._number(rows)
        at, end = (self.at, self.end) if rows is None else (self.at[rows], self.end[rows])
        if len(length) and int(length.min()) < 0:
            self._fault(rows, length < 0, f"{name} has a negative length")
            length = np.maximum(length, 0)
        # One byte too far says that it ends too early; further would leave the buffer.
        self._move(rows, at + np.minimum(length, np.maximum(end - at, 0) + 1))

    def _map(self, name: str, entry: Field, rows: Ints) -> None:
        left = np.zeros(len(rows), np.int64)
        for _ in range(_MOST_STEPS):
            # A block of the least number there is has no entries: the native decoder counts upwards to it.
            between = np.flatnonzero(left <= 0)
            if len(between):
                count = self._number(rows[between])
                sized = np.flatnonzero(count < 0)
                if len(sized):
                    self._number(rows[between[sized]])
                    count[sized] = -count[sized]
                left[between] = count
                more = np.ones(len(rows), bool)
                more[between[count == 0]] = False
                rows, left = self._good(rows[more], left[more])
            inside = rows[left > 0]
            if len(inside):
                self._text(f"a key of {name}", inside)
                self._value(entry, inside)
                left[left > 0] -= 1
                rows, left = self._good(rows, left)
            if not len(rows):
                return
        self.unsettled.extend(self.row[rows].tolist())
        self._faults.update(dict.fromkeys(rows.tolist(), ""))

    def _good(self, rows: Ints, left: Ints) -> tuple[Ints, Ints]:
        """Those of the rows that are still within their datum and without a fault."""
        good = self.at[rows] <= self.end[rows]
        if self._faults:
            good &= ~np.isin(rows, np.fromiter(self._faults, np.int64, len(self._faults)))
        return (rows, left) if good.all() else (rows[good], left[good])

    def _move(self, rows: Rows, at: Ints) -> None:
        if rows is None:
            self.at = at
        else:
            self.at[rows] = at

    def _fault(self, rows: Rows, wrong: npt.NDArray[np.bool_], reason: str) -> None:
        if wrong.any():
            for place in (np.flatnonzero(wrong) if rows is None else rows[wrong]).tolist():
                self._faults.setdefault(place, reason)

    def _drop(self) -> None:
        """Let go of the datums that ended too early or have a fault."""
        over = self.at > self.end
        if not self._faults and not over.any():
            return
        keep = ~over
        for place, reason in self._faults.items():
            keep[place] = False
            if reason and not over[place]:
                self.bad[int(self.row[place])] = reason
        for row in self.row[over].tolist():
            self.bad[row] = ENDS
        self._faults.clear()
        self.at, self.end, self.row = self.at[keep], self.end[keep], self.row[keep]
