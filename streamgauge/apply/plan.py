"""In: what the files define and what is in force. Out: the changes that make the one the other; ApplyError if the
result contradicts itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.control.records import ControlRecord, dump_record
from schemas.control.snapshot import ControlSnapshot
from streamgauge.apply.decided import came_by_command, check_decisions, settle
from streamgauge.apply.departments import below, with_within
from streamgauge.apply.holdings import check_holdings, prunable
from streamgauge.apply.kinds import DEFINES
from streamgauge.apply.loading import Loaded
from streamgauge.apply.problems import ApplyError
from streamgauge.apply.references import check_references
from streamgauge.apply.unreachable import check_reach, notes_on_limits

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Change:
    """One record to publish; `record` None deletes the key. `before` is what is in force now."""

    action: Action
    key: str
    record: ControlRecord | None
    before: ControlRecord | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes of one apply. `unchanged` counts records that are in force as written; `unmanaged` ones no file
    names. `notes`: what is no mistake, and worth a look.
    """

    changes: tuple[Change, ...]
    unchanged: int
    unmanaged: int
    notes: tuple[str, ...] = ()

    def applied_to(self, current: ControlSnapshot) -> ControlSnapshot:
        """What would be in force."""
        return current.with_changes({one.key: (current.position, one.record) for one in self.changes}, current.position)


def make_plan(loaded: Loaded, current: ControlSnapshot, *, prune: bool = False, now_us: int | None = None) -> Plan:
    """`prune`: delete what is in force, of a kind that the files have, and that they no longer define; never what came
    by command. `now_us`: spans that ended before it are refused where they are new, and so are
    decisions of days to come; None refuses neither.
    """
    managed = {kind for document in loaded.kinds for kind in DEFINES[document]}
    unnamed = {
        key
        for key, record in current.records.items()
        if record.kind in managed and key not in loaded.records and not came_by_command(record)
    }
    gone = prunable(loaded, current, unnamed)
    deleted = gone if prune else set()
    settled, problems = settle(loaded, current)
    kept = {key: record for key, record in current.records.items() if key not in deleted}
    given = ControlSnapshot(current.position, {**kept, **settled})
    beneath = below(given.departments)
    # A department that moved changes what budgets above it count, those that no file names included.
    after = ControlSnapshot(
        current.position, {key: with_within(record, beneath) for key, record in given.records.items()}
    )
    changes = [Change("delete", key, None, current.records[key]) for key in sorted(deleted)]
    changes += _differing(after, current, loaded)
    changed = [change.key for change in changes]
    problems += check_references(after, current, loaded)
    problems += check_reach(after, loaded, changed, now_us)
    problems += check_decisions(after, loaded, now_us)
    problems += check_holdings(after, current, loaded)
    if problems:
        raise ApplyError(list(dict.fromkeys(problems)))
    touched = sum(change.action != "delete" and change.key in loaded.records for change in changes)
    notes = tuple(dict.fromkeys(notes_on_limits(after, changed)))
    return Plan(tuple(changes), len(loaded.records) - touched, len(gone - deleted), notes)


def _differing(after: ControlSnapshot, current: ControlSnapshot, loaded: Loaded) -> list[Change]:
    """In the order of the files, then what changes with them."""
    changes = []
    for key in dict.fromkeys([*loaded.records, *after.records]):
        record, old = after.records.get(key), current.records.get(key)
        if record is None:
            continue
        if old is None:
            changes.append(Change("create", key, record))
        elif record is not old and dump_record(old) != dump_record(record):
            changes.append(Change("update", key, record, old))
    return changes
