"""In: the files under `golden/`. Out: message values and the events that they hold.

A `.hex` file is one message: on each line some bytes as hex, then `#` and what they are. A `.json` message is the value
itself. They were encoded by hand from the Avro specification, not by the code under test, and are never written again:
bytes that are on somebody's topic cannot change. A new version of an event gets a folder `vN/` of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

from schemas.avro_schemas import CURRENT
from schemas.framing import Framing
from schemas.usage import TIMESTAMP

GOLDEN: Final = Path(__file__).parent / "golden"
#: The registry's id in the golden Confluent messages: two bytes, so that a wrong byte order shows.
CONFLUENT_ID: Final = 258

Event = Literal["usage_event", "outcome_event"]
Form = Literal["full", "least", "batch"]
EVENTS: Final[tuple[Event, ...]] = ("usage_event", "outcome_event")
FRAMINGS: Final[tuple[Framing, ...]] = ("single_object", "confluent", "json")


@dataclass(frozen=True, slots=True)
class Golden:
    """One golden message. `batch` holds the events of `full` and `least`, in this order."""

    event: Event
    version: int
    framing: Framing
    form: Form

    @property
    def path(self) -> Path:
        ending = "json" if self.framing == "json" else "hex"
        return GOLDEN / self.event / f"v{self.version}" / f"{self.framing}.{self.form}.{ending}"

    @property
    def value(self) -> bytes:
        """The message value."""
        if self.framing == "json":
            return self.path.read_bytes().rstrip(b"\n")
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return b"".join(bytes.fromhex(line.split("#", 1)[0]) for line in lines)

    @property
    def expected(self) -> list[dict[str, Any]]:
        """The events that the message holds: times in µs since the epoch, fields that its version has."""
        full, least = json.loads((self.path.parent / "expected.json").read_text(encoding="utf-8"))
        return {"full": [full], "least": [least], "batch": [full, least]}[self.form]

    def __str__(self) -> str:
        return f"{self.event}-v{self.version}-{self.framing}-{self.form}"


def golden_messages() -> list[Golden]:
    """Every framing and form of every version that was ever released. Only usage events have a batch form."""
    forms: dict[Event, tuple[Form, ...]] = {
        "usage_event": ("full", "least", "batch"),
        "outcome_event": ("full", "least"),
    }
    return [
        Golden(event, version, framing, form)
        for event in EVENTS
        for version in range(1, CURRENT[event] + 1)
        for framing in FRAMINGS
        for form in forms[event]
    ]


def plain(event: dict[str, Any]) -> dict[str, Any]:
    """A decoded event in the terms of `expected.json`: times as µs, maps as dicts."""
    return {name: _plain(value) for name, value in event.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        assert value.tzinfo is not None, "times are decoded with their zone"
        return pa.scalar(value, TIMESTAMP).value
    if isinstance(value, list):
        return dict(value)
    return value
