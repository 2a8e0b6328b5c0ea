"""In: by which control position each range was enriched. Out: from which event time on a budget was counted whole.

A budget that appears in mid-period has missed what came before it. For each input partition, what came before is known:
the greatest event time seen when its ranges were first enriched with the budget. A period is whole when it starts later
than that on every partition, or when what came before was asked of the history and added (`base/`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.positions import Mark

#: Steps remembered per input partition. A budget is settled within seconds of its appearance, so few are ever needed.
_STEPS = 64
#: Before all event time: nothing was missed.
NOTHING_MISSED = -(2**62)


@dataclass(slots=True)
class Term:
    """One budget under one rule. `since`: control offset where the rule appeared; `missed_us`: settled answer, or
    None. `based_us`: event time from which the history has supplied what was missing, once it has; `losses`: how many
    holes there were then, all of which it has filled.
    """

    rule: str
    since: int
    missed_us: int | None = None
    based_us: int | None = None
    losses: int = 0


@dataclass(slots=True)
class Steps:
    """Of one input partition: control positions in the order seen, each with the greatest event time seen before it."""

    controls: list[int] = field(default_factory=list)
    before_us: list[int | None] = field(default_factory=list)

    def first_with(self, offset: int) -> tuple[int | None] | None:
        """Greatest event time before the first range enriched beyond control offset `offset`; None: not seen yet."""
        at = bisect_right(self.controls, offset)
        return (self.before_us[at],) if at < len(self.controls) else None


class Counting:
    """Settles, once per budget and rule, what it has missed."""

    def __init__(self, partitions: int) -> None:
        self.steps: dict[int, Steps] = {partition: Steps() for partition in range(partitions)}
        self.terms: dict[str, Term] = {}
        #: Event time up to which rows are known to be missing for every budget (a hole that nobody can fill).
        self.lost_us: int = NOTHING_MISSED
        #: How many such holes there were.
        self.losses = 0
        #: Budgets that may want what came before, of the history.
        self.unbased: set[str] = set()
        #: What the history waits for, by budget; `no_history` says why nobody asks it.
        self._waits: dict[str, str] = {}
        self.no_history: str | None = None
        self._changed: set[str] = set()

    def observe(self, partition: int, mark: Mark, before_us: int | None) -> None:
        """Note the mark of one range; `before_us` is the partition's greatest event time before it."""
        steps = self.steps.setdefault(partition, Steps())
        if steps.controls and steps.controls[-1] >= mark.control:
            return
        steps.controls.append(mark.control)
        steps.before_us.append(before_us)
        if len(steps.controls) > _STEPS:
            # The oldest step forgotten makes the next one answer for it: it names a later time, which errs towards
            # unknown.
            del steps.controls[0], steps.before_us[0]

    def lose(self, until_us: int | None) -> None:
        """Rows up to this event time are missing for good."""
        if until_us is not None:
            self.lost_us = max(self.lost_us, until_us)
            self.losses += 1
            self.unbased.update(self.terms)

    def appear(self, budget_id: str, rule: str, offset: int) -> bool:
        """A budget stands in the control log with this rule. Whether that is new."""
        term = self.terms.get(budget_id)
        if term is not None and term.rule == rule:
            return False
        self.terms[budget_id] = Term(rule, offset)
        self._waits.pop(budget_id, None)
        return True

    def retire(self, budget_id: str) -> None:
        self.terms.pop(budget_id, None)
        self.unbased.discard(budget_id)
        self._waits.pop(budget_id, None)

    def base(self, budget_id: str, from_us: int, losses: int) -> None:
        """The history has supplied what was missing from that event time on, and `losses` holes."""
        term = self.terms[budget_id]
        term.based_us, term.losses = from_us, losses
        if losses == self.losses:
            self.unbased.discard(budget_id)
        self._waits.pop(budget_id, None)
        self._changed.add(budget_id)

    def wait(self, budget_id: str, why: str) -> None:
        """What the history waits for before it can answer for this budget."""
        if self._waits.get(budget_id) != why:
            self._waits[budget_id] = why
            self._changed.add(budget_id)

    def dump(self, budget_id: str) -> list[str | int | None]:
        """A term as plain values."""
        term = self.terms[budget_id]
        return [term.rule, term.since, term.missed_us, term.based_us, term.losses]

    def load(self, budget_id: str, values: Sequence[Any]) -> None:
        """Take back what `dump` gave, or its first three values, as version 2 of the state has them."""
        self.terms[budget_id] = Term(*values)
        self.unbased.add(budget_id)

    def settle(self) -> list[str]:
        """Budgets whose answer, or the reason for having none, has just become known."""
        settled: list[str] = sorted(self._changed & self.terms.keys())
        self._changed.clear()
        for budget_id, term in self.terms.items():
            if term.missed_us is None:
                firsts = [steps.first_with(term.since) for steps in self.steps.values()]
                if all(first is not None for first in firsts):
                    known = [first[0] for first in firsts if first is not None and first[0] is not None]
                    term.missed_us = max(known, default=NOTHING_MISSED)
                    settled.append(budget_id)
                    self.unbased.add(budget_id)
        return settled

    def is_missing(self, budget_id: str) -> bool:
        """Whether it is known that something came before which was not counted, and nobody has supplied it."""
        term = self.terms.get(budget_id)
        if term is None or term.missed_us is None:
            return False
        if term.based_us is None:
            return max(term.missed_us, self.lost_us) > NOTHING_MISSED
        return term.losses < self.losses

    def reason(self, budget_id: str, start_us: int) -> str | None:
        """Why the period that starts then is not counted whole; None when it is."""
        term = self.terms.get(budget_id)
        if term is None or term.missed_us is None:
            return "counting starts: not every input partition has been enriched with this budget yet"
        is_based = term.based_us is not None and start_us >= term.based_us
        missed = not is_based and start_us <= term.missed_us
        lost = not (is_based and term.losses == self.losses) and start_us <= self.lost_us
        if not (missed or lost):
            return None
        why = (
            "the budget appeared or changed its scope after this period began, so earlier use is not in the figure"
            if missed
            else "tallies of this period were deleted before the agents read them, so the figure is too low"
        )
        if term.based_us is not None and start_us < term.based_us:
            return why
        waits = self._waits.get(budget_id, self.no_history)
        return why if waits is None else f"{why}: {waits}"
