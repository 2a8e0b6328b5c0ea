"""In: nothing. Out: what a fleet planted and sent, exactly, for whoever checks that the pipeline found it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.alerts import AlertKind
from schemas.alerts import Incident as Looks
from schemas.rejections import RejectionCode


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that goes wrong in event time [starts_at, ends_at).

    `expected_at`: for a budget, the occurrence of the very call whose tokens reach the hard level; for a spike, its
    start (the alert follows as soon as enough of it has been seen). `looks`: the names of which its alert must give
    one, the right one first; empty: the alert's kind gives none. `activity`: the planned activity that
    covers it, so that it must wake nobody.
    """

    name: str
    team: str
    alert_kind: AlertKind
    starts_at: datetime
    ends_at: datetime
    expected_at: datetime
    sentence: str
    budget_id: str | None = None
    looks: tuple[Looks, ...] = ()
    activity: str | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """Counts of usage events: sent = accepted + duplicates + rejected. Sums are over accepted events.

    `rejected_by_code` is sorted by code. `conflicts`: accepted, with a claimed team that the directory overrules.
    """

    sent: int
    accepted: int
    duplicates: int
    rejected: int
    rejected_by_code: tuple[tuple[RejectionCode, int], ...]
    unattributed: int
    conflicts: int
    unpriced: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    outcomes: int
