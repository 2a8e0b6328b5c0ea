"""In: one change. Out: field by field what was and what would be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from schemas.control.records import ControlRecord
from streamgauge.apply.plan import Change

#: Told by the change itself.
_APART: Final = {"kind", "id"}
_MIDNIGHT: Final = re.compile(r"^(\d{4}-\d{2}-\d{2})T00:00:00Z$")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field; None: not set."""

    field: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.field}: {self.after}"
        return f"{self.field}: {self.before} → {self.after if self.after is not None else '(not set)'}"


def differences(change: Change) -> tuple[Difference, ...]:
    """Fields that differ, in the order of the document; of a new record all that say more than the default."""
    new = change.before is None
    before, after = _fields(change.before), _fields(change.record, plainly=new)
    return tuple(
        Difference(field, before.get(field), after.get(field))
        for field in dict.fromkeys([*after, *before])
        if before.get(field) != after.get(field)
    )


def _fields(record: ControlRecord | None, *, plainly: bool = False) -> dict[str, str]:
    """`plainly`: without what is left at its default."""
    if record is None:
        return {}
    data = record.model_dump(mode="json", exclude_none=True, exclude_defaults=plainly, exclude=_APART)
    return {field: text for field, text in _flat(data, ()) if text not in ("[]", "")}


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, (*path, name))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value):
            yield from _flat(inner, (*path, str(number)))
    else:
        yield ".".join(path), _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_text(inner) for inner in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _MIDNIGHT.sub(r"\1", str(value))
