"""In: what the files define and what is in force. Out: the changes that make the one the other; ApplyError if the
result contradicts itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from schemas.control.records import ControlRecord, dump_record
from schemas.control.snapshot import ControlSnapshot
from streamgauge.apply.loading import DEFINES, Loaded
from streamgauge.apply.problems import ApplyError
from streamgauge.apply.references import check_references

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Change:
    """One record to publish; `record` None deletes the key."""

    action: Action
    key: str
    record: ControlRecord | None


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes of one apply. `unchanged` counts records that are in force as written; `unmanaged` ones no file
    names.
    """

    changes: tuple[Change, ...]
    unchanged: int
    unmanaged: int


def make_plan(loaded: Loaded, current: ControlSnapshot, *, prune: bool = False) -> Plan:
    """`prune`: delete what is in force, of a kind that the files have, and that they no longer define."""
    managed = {kind for document in loaded.kinds for kind in DEFINES[document]}
    gone = {key for key, record in current.records.items() if record.kind in managed and key not in loaded.records}
    deleted = gone if prune else set()
    after: Mapping[str, ControlRecord] = {
        **{key: record for key, record in current.records.items() if key not in deleted},
        **loaded.records,
    }
    problems = check_references(after, loaded.places)
    if problems:
        raise ApplyError(problems)
    changes = [Change("delete", key, None) for key in sorted(deleted)]
    for key, record in loaded.records.items():
        old = current.records.get(key)
        if old is None:
            changes.append(Change("create", key, record))
        elif dump_record(old) != dump_record(record):
            changes.append(Change("update", key, record))
    touched = sum(change.action != "delete" for change in changes)
    return Plan(tuple(changes), len(loaded.records) - touched, len(gone - deleted))
