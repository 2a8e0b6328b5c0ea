"""In: an exception's record, why its decision does not count, and where event time stands. Out: the steps to tell."""

from __future__ import annotations

from typing import Final, Literal

from schemas.control.base import moment_us
from schemas.control.exceptions import ExceptionGrant

Step = Literal["requested", "approved", "denied", "in_force", "expired", "revoked", "refused"]

#: After these nothing more comes by itself.
OVER: Final[tuple[Step, ...]] = ("denied", "expired", "revoked")
_RANK: Final[dict[Step, int]] = {"requested": 0, "approved": 1, "in_force": 2, "expired": 3}


def path(record: ExceptionGrant, fault: str | None, watermark_us: int | None) -> tuple[Step, ...]:
    """Every step from the request to where the exception stands now."""
    decision = record.decision
    if decision is None:
        return ("requested",)
    if fault is not None:
        return ("requested", "refused")
    if decision.verdict == "denied":
        return ("requested", "denied")
    if decision.verdict == "revoked":
        return ("requested", "revoked")
    if watermark_us is None or watermark_us < moment_us(record.valid_from):
        return ("requested", "approved")
    if watermark_us < moment_us(record.valid_to):
        return ("requested", "approved", "in_force")
    return ("requested", "approved", "expired")


def due(last: Step | None, way: tuple[Step, ...]) -> tuple[Step, ...]:
    """What of `way` was not told yet, when `last` was told last."""
    if last is None:
        return way
    if last == way[-1]:
        return ()
    if last in way:
        return way[way.index(last) + 1 :]
    if last in _RANK and way[-1] in _RANK and way[-1] != "requested":
        # From in force to its end; or back, when its dates were moved.
        return tuple(step for step in way if _RANK[step] > _RANK[last]) or way[-1:]
    # A new request under an old id begins anew; any other turn follows the request that was told.
    return way if way[-1] == "requested" else way[1:]
