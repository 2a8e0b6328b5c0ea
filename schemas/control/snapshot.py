"""In: every record on `governance.control` up to one position. Out: one immutable snapshot that a worker decides by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from schemas.control.acknowledgements import Acknowledgement
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Budget
from schemas.control.departments import Department
from schemas.control.directory import Sender, SenderKind, Team
from schemas.control.exceptions import ExceptionGrant, ExceptionRule
from schemas.control.feedback import AlertFeedback
from schemas.control.models import CatalogueModel
from schemas.control.policies import Policy
from schemas.control.principals import Principal
from schemas.control.records import ControlRecord
from schemas.control.use_cases import UseCase
from schemas.prices.overrides import PriceOverride


@dataclass(frozen=True)
class ControlSnapshot:
    """All control records by key (`KIND/ID`). `position` is the control log's next offset: a greater one is newer.

    `offsets` says at which offset of the control log each record was last published; `reborn`, of budgets that had been
    removed and came again, at which they came: whoever saw neither happen still learns that there was a gap.
    """

    position: int = 0
    records: Mapping[str, ControlRecord] = field(default_factory=dict)
    offsets: Mapping[str, int] = field(default_factory=dict)
    reborn: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def teams(self) -> dict[str, Team]:
        return {record.id: record for record in self.records.values() if isinstance(record, Team)}

    @cached_property
    def senders(self) -> dict[tuple[SenderKind, str], Sender]:
        return {(record.sender, record.id): record for record in self.records.values() if isinstance(record, Sender)}

    @cached_property
    def use_cases(self) -> dict[str, UseCase]:
        return {record.id: record for record in self.records.values() if isinstance(record, UseCase)}

    @cached_property
    def models(self) -> dict[str, CatalogueModel]:
        return {record.id: record for record in self.records.values() if isinstance(record, CatalogueModel)}

    @cached_property
    def budgets(self) -> dict[str, Budget]:
        return {record.id: record for record in self.records.values() if isinstance(record, Budget)}

    @cached_property
    def departments(self) -> dict[str, Department]:
        return {record.id: record for record in self.records.values() if isinstance(record, Department)}

    @cached_property
    def policies(self) -> dict[str, Policy]:
        return {record.id: record for record in self.records.values() if isinstance(record, Policy)}

    @cached_property
    def principals(self) -> dict[str, Principal]:
        return {record.id: record for record in self.records.values() if isinstance(record, Principal)}

    @cached_property
    def exceptions(self) -> dict[str, ExceptionGrant]:
        return {record.id: record for record in self.records.values() if isinstance(record, ExceptionGrant)}

    @cached_property
    def exception_rules(self) -> dict[str, ExceptionRule]:
        return {record.id: record for record in self.records.values() if isinstance(record, ExceptionRule)}

    @cached_property
    def acknowledgements(self) -> dict[str, Acknowledgement]:
        """By budget."""
        return {record.id: record for record in self.records.values() if isinstance(record, Acknowledgement)}

    @cached_property
    def activities(self) -> dict[str, PlannedActivity]:
        return {record.id: record for record in self.records.values() if isinstance(record, PlannedActivity)}

    @cached_property
    def feedback(self) -> dict[str, AlertFeedback]:
        """By alert."""
        return {record.id: record for record in self.records.values() if isinstance(record, AlertFeedback)}

    @cached_property
    def prices(self) -> tuple[PriceOverride, ...]:
        """Price overrides in key order, so that the rate card's hash does not depend on arrival."""
        return tuple(record for _, record in sorted(self.records.items()) if isinstance(record, PriceOverride))

    def with_changes(
        self,
        changes: Mapping[str, tuple[int, ControlRecord | None]],
        position: int,
        reborn: Mapping[str, int] | None = None,
    ) -> ControlSnapshot:
        """A newer snapshot from (offset, record) by key: a record of None removes it."""
        records = {key: record for key, record in self.records.items() if key not in changes}
        offsets = {key: offset for key, offset in self.offsets.items() if key not in changes}
        for key, (offset, record) in changes.items():
            if record is not None:
                records[key] = record
                offsets[key] = offset
        return ControlSnapshot(position, records, offsets, self.reborn if reborn is None else reborn)
