"""In: usage events as JSON, one a line. Out: each line as one message, exactly as it is; the pipeline judges it.

Bad lines are sent too (an empty line as an empty message), so that a rejected line can be found in `usage.rejected`.
Ids are the events' own: a line without a readable `event_id` is keyed by the hash of its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import xxhash

from schemas.control.base import moment_us
from sources.messages import Message, partition_of
from sources.replay.chunk import CHUNK_ROWS


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its bytes and what could be read from it. `occurred_at_us` None: no readable time."""

    value: bytes
    event_id: str | None
    occurred_at_us: int | None
    team_id: str | None
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int

    @property
    def readable(self) -> bool:
        return self.event_id is not None and self.occurred_at_us is not None

    def message(self, partitions: int) -> Message:
        key = (self.event_id or xxhash.xxh3_128_hexdigest(self.value)).encode("utf-8", "surrogatepass")
        return Message(partition_of(key, partitions), key, self.value, 1)


def read_events_jsonl(path: Path) -> Iterator[list[Line]]:
    """All lines in file order, in chunks. Nothing in them raises."""
    with path.open("rb") as file:
        while lines := list(islice(file, CHUNK_ROWS)):
            yield [_line(line.rstrip(b"\r\n")) for line in lines]


def _line(value: bytes) -> Line:
    try:
        event = json.loads(value)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        return Line(value, None, None, None, 0, 0, 0)
    return Line(
        value,
        _text(event, "event_id"),
        _moment(event.get("occurred_at")),
        _text(event, "team_id"),
        *(_count(event, name) for name in ("input_tokens", "cache_read_tokens", "output_tokens")),
    )


def _text(event: dict[str, Any], name: str) -> str | None:
    value = event.get(name)
    return value if isinstance(value, str) and value else None


def _count(event: dict[str, Any], name: str) -> int:
    value = event.get(name)
    return value if type(value) is int and value >= 0 else 0


def _moment(value: object) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return moment_us(moment) if moment.tzinfo is not None else None
    return None
