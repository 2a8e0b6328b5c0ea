"""In: a CSV file with columns timestamp and value. Out: its rows, in the file's order, and which of them come first."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

_NO_VALUE: Final = frozenset({"", "nan", "null", "none", "na", "n/a"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Up to these amounts a number counts seconds, milliseconds, microseconds since the epoch; each is the year 5138.
_UNITS: Final = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))


class SeriesError(ValueError):
    """A file is no series of timestamps and values; the message names the line and what to do."""


@dataclass(frozen=True, slots=True)
class Series:
    """Rows as they stand in the file: `stamps` and `texts` as written, `times_us` UTC, `values` None where none is.
    `order`: places of the rows in order of time; rows of one moment as in the file."""

    stamps: tuple[str, ...]
    texts: tuple[str, ...]
    times_us: tuple[int, ...]
    values: tuple[float | None, ...]
    order: tuple[int, ...]

    @property
    def is_sorted(self) -> bool:
        return self.order == tuple(range(len(self.order)))


def read_series(path: Path) -> Series:
    """Read a file, or standard input where the path is `-`.

    Raises SeriesError; OSError where the file cannot be read.
    """
    name = "standard input" if str(path) == "-" else str(path)
    if path.is_dir():
        raise SeriesError(f"{name} is a folder; give a CSV file, or - for standard input")
    data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SeriesError(f"{name} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    stamps, texts, times, values = [], [], [], []
    for line, stamp, value in _fields(name, text):
        stamps.append(stamp)
        texts.append(value)
        times.append(_moment_us(f"{name}:{line}", stamp))
        values.append(_number(f"{name}:{line}", value))
    if not stamps:
        raise SeriesError(f"{name} has no rows below its header")
    order = sorted(range(len(times)), key=times.__getitem__)
    return Series(tuple(stamps), tuple(texts), tuple(times), tuple(values), tuple(order))


def _fields(name: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Line, timestamp and value of each row below the header; empty lines are passed over."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    stamp_at = value_at = 0
    try:
        for row in rows:
            if not any(field.strip() for field in row):
                continue
            if header is None:
                header = [field.strip().lower() for field in row]
                for wanted in ("timestamp", "value"):
                    if header.count(wanted) != 1:
                        raise SeriesError(
                            f"{name}:{rows.line_num}: the header must have one column timestamp and one column value, "
                            f"joined by commas, and has {', '.join(repr(field.strip()) for field in row)}"
                        )
                stamp_at, value_at = header.index("timestamp"), header.index("value")
                continue
            if len(row) != len(header):
                raise SeriesError(
                    f"{name}:{rows.line_num}: {len(row)} fields under a header of {len(header)}; a decimal comma must "
                    "be a point, and a field with a comma in quotes"
                )
            yield rows.line_num, row[stamp_at].strip(), row[value_at].strip()
    except csv.Error as error:
        raise SeriesError(f"{name}:{rows.line_num}: no CSV: {error}") from None
    if header is None:
        raise SeriesError(f"{name} is empty; it needs a header with the columns timestamp and value")


def _moment_us(place: str, text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        return _date_us(place, text)
    for most, factor in _UNITS:
        if abs(number) < most:
            return round(number * factor)
    raise SeriesError(f"{place}: timestamp {text!r} counts neither s, ms nor µs since 1970; divide it until it does")


def _date_us(place: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SeriesError(
            f"{place}: timestamp {text!r} is none; write 2026-11-22T09:30:00Z, 2026-11-22 09:30:00 (UTC), or s, ms or "
            "µs since 1970"
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _number(place: str, text: str) -> float | None:
    if text.lower() in _NO_VALUE:
        return None
    try:
        number = float(text)
    except ValueError:
        raise SeriesError(f"{place}: value {text!r} is no number; leave it empty where there is none") from None
    if not math.isfinite(number) or abs(number) > 1e150:
        if math.isnan(number):
            return None
        raise SeriesError(f"{place}: value {text!r} is too large to be judged; leave it empty where there is none")
    return number
