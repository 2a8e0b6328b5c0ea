"""In: plain JSON messages, one event or `{"events": [...]}`. Out: rows of the current columns, and a Failure for each
bad event.

JSON is the framing for getting started and for gateways that know no Avro: it is read event by event, and costs about
ten times what Avro does. Times are RFC 3339 strings with a zone, or integers in µs since the epoch. Unknown fields are
counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
from pydantic_core import from_json

from schemas.control.base import moment_us
from schemas.decoding.align import columns_of, defaults_of
from schemas.decoding.failure import Failure
from schemas.rejections import RejectionCode
from schemas.usage import MAX_STRING_BYTES

_INT64: Final = 2**63
#: Events of one message. No message of a megabyte holds as many that are whole, and a refused one is answered with a
#: record of its own: a megabyte of `{},{},…` must not become a gigabyte of rejections.
MAX_EVENTS: Final = 20_000
#: Characters of a sentence: a field's name may be as long as the message.
_MAX_SENTENCE: Final = 500


class _Refused(ValueError):
    def __init__(self, code: RejectionCode, sentence: str) -> None:
        super().__init__(_clip(sentence, _MAX_SENTENCE))
        self.code: RejectionCode = code


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Refused("bad_type", f"{name} must be a whole number, not {_shown(value)}")
    if not -_INT64 <= value < _INT64:
        raise _Refused("absurd_count", f"{name} is {_shown(value)}, which does not fit 64 bits")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused("bad_type", f"{name} must be text, not {_shown(value)}")
    return value


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Refused("bad_type", f"{name} must be true or false, not {_shown(value)}")
    return value


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused("bad_type", f"{name} must be a number, not {_shown(value)}")
    try:
        return float(value)
    except OverflowError as error:
        raise _Refused("absurd_count", f"{name} is {_shown(value)}, which is no number of 64 bits") from error


def _moment(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(name, value)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise _Refused("bad_type", f"{name} {_shown(value)} has no time zone: end it with Z or an offset")
            return moment_us(moment)
        except OverflowError as error:
            raise _Refused("bad_value", f"{name} {_shown(value)} is outside of the calendar in UTC") from error
        except _Refused:
            raise
        except ValueError as error:
            raise _Refused("bad_type", f"{name} {_shown(value)} is not an RFC 3339 time") from error
    raise _Refused("bad_type", f"{name} must be an RFC 3339 time or µs since the epoch, not {_shown(value)}")


def _mapping(convert: Callable[[str, Any], Any]) -> Callable[[str, Any], list[tuple[str, Any]]]:
    def read(name: str, value: Any) -> list[tuple[str, Any]]:
        if not isinstance(value, dict):
            raise _Refused("bad_type", f"{name} must be an object, not {_shown(value)}")
        return [(key, convert(f"{name}.{key}", entry)) for key, entry in value.items()]

    return read


def _shown(value: Any) -> str:
    return _clip(repr(value), 60)


def _clip(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _converter(field_type: pa.DataType) -> Callable[[str, Any], Any]:
    if pa.types.is_map(field_type):
        return _mapping(_converter(field_type.item_type))
    if pa.types.is_timestamp(field_type):
        return _moment
    if pa.types.is_integer(field_type):
        return _integer
    if pa.types.is_boolean(field_type):
        return _truth
    if pa.types.is_floating(field_type):
        return _number
    return _text


class JsonRows:
    """Collects rows of one event kind; `table()` gives them as Arrow columns."""

    def __init__(self, event: str) -> None:
        self._schema: Final = columns_of(event)
        self._fields: Final = [
            (
                field.name,
                _converter(field.type),
                field.name in defaults_of(event),
                field.nullable,
                defaults_of(event).get(field.name),
            )
            for field in self._schema
        ]
        self._known: Final = {field.name for field in self._schema}
        self._rows: list[list[Any]] = []
        self.message: list[int] = []
        self.index: list[int] = []
        self.failures: list[Failure] = []
        self.unknown_fields = 0

    def add(self, message: int, value: bytes) -> None:
        """Read one message value. What is wrong with it becomes a Failure; nothing is raised."""
        try:
            value.decode("utf-8")
        except UnicodeDecodeError as error:
            self.failures.append(Failure(message, 0, "not_utf8", f"the JSON is not UTF-8: {error}"))
            return
        try:
            document = from_json(value)
        except ValueError as error:
            self.failures.append(Failure(message, 0, "bad_json", f"the message starts as JSON but is none: {error}"))
            return
        several = _events(document)
        if several is not None and len(several) > MAX_EVENTS:
            sentence = f"the message has {len(several)} events, at most {MAX_EVENTS} are accepted in one"
            self.failures.append(Failure(message, 0, "too_long", sentence))
            return
        for index, event in enumerate([document] if several is None else several):
            try:
                if not isinstance(event, dict):
                    raise _Refused("bad_type", f"an event must be an object, not {_shown(event)}")
                self._rows.append(self._row(event))
            except _Refused as refused:
                raw = None if several is None else _compact(event)
                named = [_named(event, name) for name in ("source", self._schema.field(0).name)]
                self.failures.append(Failure(message, index, refused.code, str(refused), raw, *named))
                continue
            self.message.append(message)
            self.index.append(index)

    def table(self) -> pa.Table:
        columns = list(zip(*self._rows, strict=True)) if self._rows else [()] * len(self._schema)
        return pa.Table.from_arrays(
            [pa.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)],
            schema=self._schema,
        )

    def _row(self, event: dict[str, Any]) -> list[Any]:
        row: list[Any] = []
        for name, convert, optional, nullable, default in self._fields:
            value = event.get(name)
            if value is None:
                if name in event and not nullable:
                    raise _Refused("bad_type", f"{name} must not be null")
                if not optional:
                    raise _Refused("missing_field", f"{name} is missing, and it has no default")
                row.append(list(default.items()) if isinstance(default, dict) else default)
            else:
                row.append(convert(name, value))
        self.unknown_fields += len(event.keys() - self._known)
        return row


def _events(document: Any) -> list[Any] | None:
    """The events of a batch; None for a message that is one event."""
    if isinstance(document, dict) and document.keys() == {"events"} and isinstance(document["events"], list):
        return document["events"]
    return None


def _compact(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _named(event: Any, name: str) -> str | None:
    """Whose event it is and which, where it says so in a usable way: a refusal without a name finds nobody."""
    value = event.get(name) if isinstance(event, dict) else None
    return value if isinstance(value, str) and len(value) <= MAX_STRING_BYTES else None
