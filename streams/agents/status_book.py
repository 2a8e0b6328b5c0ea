"""In: which periods run, and what changed. Out: whose status has to be published, and which statuses are retired.

The running period and the one before it stand on the topic; of a span its one period. A budget about one person stands
on a topic of its own.

A changed state goes before a changed document or period, and that before plain figures; among equals whoever waits
longest. What is not taken stays due. Nothing of that is stored: whoever opens a shard publishes every status anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from itertools import chain, islice
from typing import Final

from schemas.control.budgets import Budget
from schemas.control.periods import BudgetPeriod, running_period
from streams.agents.floors import is_over
from streams.agents.statuses import retired_key, shown_period

_NEVER: Final = (0, 0)
#: Far more than calendars have: older ones are let go of with all.
_MOST_SHARED: Final = 10_000


class Haste(IntEnum):
    """What goes first. Figures wait for the next checkpoint, the others do not."""

    STATE = 0
    DOCUMENT = 1
    FIGURES = 2


class StatusBook:
    """What stands on the status topics, by budget."""

    def __init__(self) -> None:
        self._current: dict[str, BudgetPeriod] = {}
        #: Event time [from, to) in which every budget stays in its current period.
        self._steady = _NEVER
        #: Period starts whose status stands on the topic; budgets of one calendar share one tuple.
        self._published: dict[str, tuple[int, ...]] = {}
        self._shared: dict[tuple[int, ...], tuple[int, ...]] = {}
        #: Budgets whose statuses stand on the topic of persons.
        self._personal: set[str] = set()
        #: By haste, each in the order of coming: (budget, period start).
        self._due: tuple[dict[tuple[str, int], None], ...] = tuple({} for _ in Haste)
        self._tombstones: set[tuple[bool, str]] = set()
        #: Budgets whose published periods changed.
        self.changed: set[str] = set()

    def starts(self, budget_id: str) -> tuple[int, ...]:
        """Starts (µs) of the periods that stand on the topic, in order."""
        return self._published.get(budget_id, ())

    def published(self, budget_id: str, start_us: int, *, personal: bool = False) -> None:
        """A status of this period stands on the topic."""
        self._stands(budget_id, tuple(sorted({*self._published.get(budget_id, ()), start_us})))
        if personal:
            self._personal.add(budget_id)

    def is_personal(self, budget_id: str) -> bool:
        return budget_id in self._personal

    def unsettle(self) -> None:
        """The documents changed: look at every budget again."""
        self._steady = _NEVER

    def forget(self, budget_id: str) -> None:
        """The budget is gone, or counts other events: its statuses are retired."""
        self._retire(budget_id, self._published.pop(budget_id, ()))
        self._current.pop(budget_id, None)
        self._personal.discard(budget_id)
        self.changed.add(budget_id)

    def renew(self, budget_id: str) -> None:
        """The document changed."""
        self._current.pop(budget_id, None)
        self.touch_all([budget_id], Haste.DOCUMENT)

    def touch(self, budget_id: str, start_us: int, haste: Haste = Haste.FIGURES) -> None:
        """A period's figures changed; of no interest unless its status stands on the topic."""
        if start_us in self._published.get(budget_id, ()):
            self._put(budget_id, start_us, haste)

    def count(self, budget: Budget, start_us: int, watermark_us: int | None) -> None:
        """Something was counted in a period. That before the running one comes to stand on the topic, if it did not: it
        began and ended within one settlement, or the budget is younger than it.
        """
        published, current = self.starts(budget.id), self._current.get(budget.id)
        if start_us in published or current is None or start_us >= current.start_us or budget.period == "span":
            self.touch(budget.id, start_us)
        elif running_period(budget, current.start_us - 1).start_us == start_us:
            later = [start for start in published if start > start_us]
            earlier = [start for start in published if start < start_us]
            kept = [start for start in earlier if not _is_passed(budget, start, watermark_us)]
            self._retire(budget.id, [start for start in earlier if start not in kept])
            self._stands(budget.id, (*kept, start_us, *later))
            self.changed.add(budget.id)
            self._put(budget.id, start_us, Haste.DOCUMENT)

    def touch_all(self, budget_ids: Iterable[str], haste: Haste = Haste.STATE) -> None:
        """Something changed that is told in every status of these budgets."""
        for budget_id in sorted(budget_ids):
            for start_us in self._published.get(budget_id, ()):
                self.touch(budget_id, start_us, haste)

    def _put(self, budget_id: str, start_us: int, haste: Haste) -> None:
        key, due = (budget_id, start_us), self._due
        for sooner in range(haste + 1):
            if key in due[sooner]:
                return
        for later in range(haste + 1, len(due)):
            due[later].pop(key, None)
        due[haste][key] = None

    def turn(self, home: Mapping[str, Budget], at_us: int, watermark_us: int | None) -> None:
        """Note the periods that run at an instant. The watermark may be behind it: what it has not passed stays."""
        if self._steady[0] <= at_us < self._steady[1]:
            return
        since, until = -(2**62), 2**62
        shown: dict[tuple[object, ...], tuple[BudgetPeriod, int, int]] = {}
        for budget in home.values():
            calendar = (budget.period, budget.time_zone, budget.starts_at, budget.ends_at)
            if calendar not in shown:
                shown[calendar] = shown_period(budget, at_us)
            period, first, last = shown[calendar]
            since, until = max(since, first), min(until, last)
            if budget.period == "span":
                # One period: its status is due before, while and after it runs, and is let go of at last.
                if is_over(budget, period.end_us, at_us):
                    self._retire(budget.id, self._published.pop(budget.id, ()))
                    continue
                self._put(budget.id, period.start_us, Haste.DOCUMENT)
            elif self._current.get(budget.id) == period:
                continue
            self._current[budget.id] = period
            self._begin(budget, period.start_us, watermark_us)
        if any(budget.period == "span" for budget in home.values()):
            # The day on which a span is let go of is looked for, not worked out.
            until = min(until, at_us - at_us % 86_400_000_000 + 86_400_000_000)
        self._steady = (since, until)

    def _begin(self, budget: Budget, start_us: int, watermark_us: int | None) -> None:
        """A period becomes the running one: the one before stays on the topic, and those that are not over yet; older
        and later ones are retired.

        A later one stands there when time was first told by the clock and the first events then came from the past.
        """
        published = self._published.get(budget.id, ())
        earlier = sorted(start for start in published if start < start_us)
        not_over = [start for start in earlier[:-1] if not _is_passed(budget, start, watermark_us)]
        kept = (*not_over, *earlier[-1:], start_us)
        self._retire(budget.id, [start for start in published if start not in kept])
        if budget.scope.is_personal:
            self._personal.add(budget.id)
        if published != kept:
            self._stands(budget.id, kept)
            self.changed.add(budget.id)
        self._put(budget.id, start_us, Haste.DOCUMENT)

    def _stands(self, budget_id: str, starts: tuple[int, ...]) -> None:
        if len(self._shared) > _MOST_SHARED:
            self._shared.clear()
        self._published[budget_id] = self._shared.setdefault(starts, starts)

    def _retire(self, budget_id: str, starts: Iterable[int]) -> None:
        for start_us in starts:
            for waiting in self._due:
                waiting.pop((budget_id, start_us), None)
            self._tombstones.add((budget_id in self._personal, retired_key(budget_id, start_us)))
            self.changed.add(budget_id)

    @property
    def is_empty(self) -> bool:
        return not (self._tombstones or any(self._due))

    @property
    def is_urgent(self) -> bool:
        """A state may have changed, with or without an alert: what is due should not wait."""
        return any(self._due[haste] for haste in (Haste.STATE, Haste.DOCUMENT))

    def take(self, most: int | None = None) -> tuple[list[tuple[bool, str]], list[tuple[str, int]]]:
        """Keys to retire (and whether of a person), and (budget, period start) to publish, `most` of them; both in
        order.
        """
        tombstones = sorted(self._tombstones)
        self._tombstones.clear()
        due = list(islice(chain.from_iterable(self._due), most))
        for waiting in self._due:
            for key in due:
                waiting.pop(key, None)
        return tombstones, sorted(due)


def _is_passed(budget: Budget, start_us: int, watermark_us: int | None) -> bool:
    """Whether nothing of the period that starts then is still to come."""
    return watermark_us is None or running_period(budget, start_us).end_us <= watermark_us
