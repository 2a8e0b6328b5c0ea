"""In: the exceptions at home in a shard, the control records, event time. Out: one event for each step of each, once.

An exception of a budget is at home where the budget is (`budget/ID`), a permission at `policy/ID` of its own. What was
told last of each is the memory: a step is told when the record, its decision or event time has gone beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from runtime.clock import to_datetime
from runtime.rights import exception_fault
from schemas.alerts import Alert
from schemas.control.base import moment_us
from schemas.control.budgets import Budget
from schemas.control.exceptions import ExceptionGrant
from schemas.control.snapshot import ControlSnapshot
from schemas.tallies import home_partition
from streams.agents.exceptions.steps import OVER, due, path
from streams.agents.exceptions.texts import Told, exception_alert, step_us
from streams.agents.watermarks import Moment

#: Steps that event time makes: only these can be history.
_BY_TIME: Final = ("in_force", "expired")


def exception_home(budget: str | None, exception: str) -> str:
    """The key whose home partition tells of an exception."""
    return f"policy/{exception}" if budget is None else f"budget/{budget}"


class ExceptionWatch:
    """All exceptions that are at home in one shard. `alerts` has what was told last, by exception."""

    def __init__(self, partition: int, partitions: int, historical_after_us: int) -> None:
        self._partition, self._partitions = partition, partitions
        self._historical_after_us = historical_after_us
        self.alerts: dict[str, Alert] = {}
        self._records: dict[str, ExceptionGrant] = {}
        self._faults: dict[str, str | None] = {}
        self._changed: set[str] = set()

    def take(self, control: ControlSnapshot) -> None:
        """Bring the records up to a newer snapshot."""
        self._records = {
            record.id: record
            for _, record in sorted(control.exceptions.items())
            if home_partition(exception_home(record.budget, record.id), self._partitions) == self._partition
        }
        self._faults = {name: exception_fault(record, control) for name, record in self._records.items()}

    def approved(self) -> list[ExceptionGrant]:
        """Those whose approval counts."""
        return [one for name, one in self._records.items() if one.is_approved and self._faults[name] is None]

    def settle(
        self,
        moment: Moment,
        budgets: Mapping[str, Budget],
        standing: Callable[[ExceptionGrant], tuple[int, int | None]],
        used_of_extra: Callable[[ExceptionGrant], int],
        now_us: int,
    ) -> list[Alert]:
        """Tell every step that has come about. `standing`: (used, limit) of the exception's budget now."""
        alerts: list[Alert] = []
        for name, record in self._records.items():
            last = self.alerts.get(name)
            told = None if last is None or last.exception is None else last.exception.step
            budget = budgets.get(record.budget or "")
            for step in due(told, path(record, self._faults[name], moment.watermark_us)):
                occurred_us = step_us(record, step, now_us)
                seen_us = now_us if moment.append_us is None else moment.append_us
                observed, limit = standing(record)
                spent = used_of_extra(record) if step == "expired" and told == "in_force" else None
                alerts.append(
                    self._put(
                        name,
                        exception_alert(
                            record,
                            budget,
                            Told(
                                step,
                                self._revision(name),
                                occurred_us,
                                step in _BY_TIME and seen_us - occurred_us > self._historical_after_us,
                                now_us,
                                self._faults[name] if step == "refused" else None,
                                observed,
                                limit,
                                spent,
                            ),
                        ),
                    )
                )
                told = step
        return alerts + self._gone(now_us)

    def _gone(self, now_us: int) -> list[Alert]:
        """Exceptions whose record was removed: what was not over is revoked. What was told stays known: the same id may
        come again, and goes on counting its revisions.
        """
        alerts: list[Alert] = []
        for name in sorted(self.alerts.keys() - self._records.keys()):
            last = self.alerts[name]
            if last.exception is None or last.exception.step in OVER:
                continue
            step = last.exception.model_copy(update={"step": "revoked", "by": None, "note": "its record was removed"})
            changes = {
                "revision": last.revision + 1,
                "state": "resolved",
                "historical": False,
                "exception": step,
                "summary": f"Exception {name} was withdrawn: its record was removed.",
                "suggested_action": "None.",
                "occurred_at": to_datetime(now_us),
                "evaluated_at": to_datetime(now_us),
            }
            alerts.append(self._put(name, last.model_copy(update=changes)))
        return alerts

    def _revision(self, name: str) -> int:
        last = self.alerts.get(name)
        return 0 if last is None else last.revision + 1

    def _put(self, name: str, alert: Alert) -> Alert:
        self.alerts[name] = alert
        self._changed.add(name)
        return alert

    def boundaries(self) -> list[int]:
        """Moments of event time at which a step comes about."""
        return [us for one in self.approved() for us in (moment_us(one.valid_from), moment_us(one.valid_to))]

    def remember(self, alert: Alert) -> None:
        """This was told, and nothing later."""
        if alert.exception is not None:
            self._put(alert.exception.id, alert)

    def take_documents(self) -> dict[str, str | None]:
        """What was told last of the exceptions that changed, as JSON by key."""
        documents: dict[str, str | None] = {
            f"exception/{name}": self.alerts[name].model_dump_json() for name in self._changed
        }
        self._changed.clear()
        return documents

    def mark_all(self) -> None:
        """Let the next `take_documents` give everything."""
        self._changed.update(self.alerts)

    def restore(self, name: str, text: str) -> None:
        self.alerts[name] = Alert.model_validate_json(text)
