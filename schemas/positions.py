"""In: partitions and offsets of `usage.events`. Out: source ranges and the headers that carry them with every output
of enrich.

`[first, next)` of one input partition is the unit of delivery: readers keep `applied[partition]` and skip, apply or
read back by comparing it with `first` (design, part 3.1).
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Final, Literal, TypeVar

#: Kafka header names; short because a header rides on every message.
RANGE_HEADER: Final = "sg-range"
LEDGER_HEADER: Final = "sg-ledger"
MARK_HEADER: Final = "sg-mark"
VERSION_HEADER: Final = "sg-version"
#: Version of the Arrow payloads and headers below; a reader refuses a higher one by name.
PAYLOAD_VERSION: Final = 3

_INT64: Final = 2**63

#: As confluent-kafka takes and gives them.
Headers = list[tuple[str, str | bytes | None]]
GivenHeaders = Headers | dict[str, str | bytes | None] | None


class PositionError(ValueError):
    """A header is missing or unreadable: the message was not written by enrich."""


@dataclass(frozen=True, slots=True, order=True)
class SourceRange:
    """Offsets [first, next) of input partition `partition`; `part` of `parts` when one range fills several messages."""

    partition: int
    first: int
    next: int
    part: int = 0
    parts: int = 1

    def header(self) -> tuple[str, bytes]:
        """As a Kafka header: five decimal numbers joined by colons."""
        return RANGE_HEADER, f"{self.partition}:{self.first}:{self.next}:{self.part}:{self.parts}".encode()


@dataclass(frozen=True, slots=True)
class Mark:
    """What a tally message says of its input partition beside the sums.

    `watermark_us`: no later row of this partition will be called on time below it; None before the first event.
    `max_event_us`: the greatest event time seen; `append_us`: broker time of the newest event of the range.
    `control`: position of the control log by which the range was enriched. `kind`: `range` carries a source range,
    `idle` says that the partition is read to its end (then `first == next` in the range header). `sent_us`: the
    sender's clock, by which silence is measured; None from version 1.
    """

    kind: Literal["range", "idle"]
    watermark_us: int | None
    max_event_us: int | None
    append_us: int | None
    control: int
    sent_us: int | None = None

    def header(self) -> tuple[str, bytes]:
        return MARK_HEADER, json.dumps(asdict(self), separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What became of one source range: read == enriched + duplicates + rejected, with the sums of the enriched rows.

    Token sums are counts, money is nano-USD. `card` is the rate card's version, `control` the control log's position.
    """

    partition: int
    first: int
    next: int
    read: int
    enriched: int
    duplicates: int
    rejected: int
    late: int
    input_tokens: int
    output_tokens: int
    cost_nanousd: int
    unpriced: int
    unattributed: int
    min_event_us: int | None
    max_event_us: int | None
    append_us: int
    card: str
    control: int

    def header(self) -> tuple[str, bytes]:
        return LEDGER_HEADER, json.dumps(asdict(self), separators=(",", ":")).encode()


_Value = TypeVar("_Value", Mark, LedgerRow)


def version_header() -> tuple[str, bytes]:
    return VERSION_HEADER, str(PAYLOAD_VERSION).encode()


def _find(headers: GivenHeaders, name: str) -> bytes:
    for key, value in headers.items() if isinstance(headers, dict) else headers or ():
        if key == name and isinstance(value, bytes):
            return value
    raise PositionError(f"header {name} is missing: this message was not written by streamgauge enrich")


def read_version(headers: GivenHeaders) -> None:
    """Refuse a message of a newer payload version than this reader knows."""
    raw = _find(headers, VERSION_HEADER)
    if not raw.isdigit() or len(raw) > 9:
        raise PositionError(f"header {VERSION_HEADER} is unreadable: {raw[:200]!r}")
    if int(raw) > PAYLOAD_VERSION:
        raise PositionError(f"payload version {int(raw)} is newer than {PAYLOAD_VERSION}: upgrade this process first")


def read_range(headers: GivenHeaders) -> SourceRange:
    raw = _find(headers, RANGE_HEADER)
    parts = raw.split(b":")
    if len(parts) == 5 and all(part.isdigit() and len(part) <= 19 for part in parts):
        source_range = SourceRange(*(int(part) for part in parts))
        if source_range.first <= source_range.next < _INT64 and source_range.part < source_range.parts:
            return source_range
    raise PositionError(f"header {RANGE_HEADER} is unreadable: {raw[:200]!r}")


def read_mark(headers: GivenHeaders) -> Mark:
    return _read(Mark, headers, MARK_HEADER)


def read_ledger(headers: GivenHeaders) -> LedgerRow:
    return _read(LedgerRow, headers, LEDGER_HEADER)


def _read(kind: type[_Value], headers: GivenHeaders, name: str) -> _Value:
    """Fields that a newer writer added are passed over, those that an older one lacks have their default: versions N
    and N+1 run side by side during an upgrade.
    """
    raw = _find(headers, name)
    try:
        given = json.loads(raw)
        known = {one.name: given[one.name] for one in fields(kind) if one.name in given or one.default is MISSING}
        for one in fields(kind):
            if one.name in known and not fits(str(one.type), known[one.name]):
                raise ValueError(f"{one.name} is {str(known[one.name])[:60]}")
        return kind(**known)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PositionError(f"header {name} is unreadable: {raw[:200]!r}") from error


def fits(annotation: str, value: object) -> bool:
    """Whether a value read from JSON is what the field's annotation says: whole numbers fit 64 bits."""
    if value is None:
        return annotation.endswith("| None")
    if annotation.startswith("int"):
        return isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64
    return isinstance(value, str) and (not annotation.startswith("Literal") or repr(value) in annotation)
