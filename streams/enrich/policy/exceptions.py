"""In: the exceptions of a control snapshot. Out: which approvals and permissions hold for a call at its time.

Only decisions that count do: `runtime.rights` says of whom and how they are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.rights import exception_fault
from schemas.control.base import moment_us
from schemas.control.snapshot import ControlSnapshot
from streams.enrich.policy.selecting import Selection, Values, chooses


@dataclass(frozen=True, slots=True)
class Grant:
    """One approved permission, for the calls of `selection`: in force in [from_us, to_us) of event time."""

    id: str
    from_us: int
    to_us: int
    selection: Selection
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    def holds(self, at_us: int) -> bool:
        return self.from_us <= at_us < self.to_us


class Grants:
    """All approved permissions by id. More money for a budget permits nothing."""

    def __init__(self, snapshot: ControlSnapshot) -> None:
        self.by_id = {grant.id: grant for grant in sorted(_approved(snapshot), key=lambda grant: grant.id)}

    def approves(self, values: Values, at_us: int) -> bool:
        """Whether the call's `approval` names a permission in force that is about such calls."""
        grant = self.by_id.get(values.get("approval") or "")
        return grant is not None and grant.holds(at_us) and grant.selection.selects(values)

    def permits(self, values: Values, at_us: int) -> str | None:
        """The least id of the permissions in force for the call's model or provider."""
        for grant in self.by_id.values():
            if (
                grant.holds(at_us)
                and grant.selection.selects(values)
                and chooses(grant.models, grant.providers, values)
            ):
                return grant.id
        return None

    def boundaries(self) -> list[int]:
        """Moments in µs at which an exception begins or ends."""
        return sorted({us for grant in self.by_id.values() for us in (grant.from_us, grant.to_us)})


def _approved(snapshot: ControlSnapshot) -> Iterator[Grant]:
    for exception in snapshot.exceptions.values():
        if not exception.is_approved or exception_fault(exception, snapshot) is not None:
            continue
        span = moment_us(exception.valid_from), moment_us(exception.valid_to)
        permits = exception.permits
        if permits is not None:
            selection = Selection.of(permits.scope.selectors())
            yield Grant(exception.id, *span, selection, permits.models, permits.providers)
