"""In: the folders under `recorded/`. Out: the messages of each version and topic, and what they were read as when they
were written.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from schemas.positions import RANGE_HEADER, Headers, SourceRange, read_range

RECORDED: Final = Path(__file__).parent / "recorded"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it stands on a topic."""

    key: bytes | None
    headers: Headers
    value: bytes | None

    def moved(self, partition: int, first: int) -> Message:
        """The same message for a source range of the same length elsewhere."""
        was = read_range(self.headers)
        now = SourceRange(partition, first, first + was.next - was.first, was.part, was.parts)
        headers: Headers = [now.header() if name == RANGE_HEADER else (name, value) for name, value in self.headers]
        return replace(self, headers=headers)


def versions() -> list[str]:
    """Oldest first."""
    return sorted((one.name for one in RECORDED.glob("v*") if one.is_dir()), key=lambda name: int(name[1:]))


def topics_of(version: str) -> list[str]:
    return sorted(file.name.removesuffix(".messages.json") for file in (RECORDED / version).glob("*.messages.json"))


def messages_of(version: str, topic: str) -> list[Message]:
    listed = json.loads((RECORDED / version / f"{topic}.messages.json").read_text(encoding="utf-8"))
    return [
        Message(_bytes(one["key"]), [(name, _bytes(value)) for name, value in one["headers"]], _bytes(one["value"]))
        for one in listed
    ]


def write_messages(folder: Path, topic: str, messages: list[Message], read_as: Any) -> None:
    """The messages, and beside them what this version reads in them."""
    listed = [
        {
            "key": _text(one.key),
            "headers": [[name, _text(value)] for name, value in one.headers],
            "value": _text(one.value),
        }
        for one in messages
    ]
    _write(folder / f"{topic}.messages.json", listed)
    _write(folder / f"{topic}.read.json", plain(read_as))


def read_as_of(version: str, topic: str) -> Any:
    return json.loads((RECORDED / version / f"{topic}.read.json").read_text(encoding="utf-8"))


def tables_of(version: str) -> dict[str, dict[str, str]]:
    """Column -> type of each table and view."""
    found: dict[str, dict[str, str]] = json.loads((RECORDED / version / "tables.json").read_text(encoding="utf-8"))
    return found


def plain(value: Any) -> Any:
    """Values as JSON has them: times as text, bytes as Base64, maps and tuples as lists."""
    return json.loads(json.dumps(value, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _text(value: str | bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
