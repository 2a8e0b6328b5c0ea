"""In: records of `governance.status` and `governance.status.users`. Out: what each budget stands at, read when asked
for.

A full pipeline writes thousands of statuses a second and a gateway asks for a few of them: records are kept as they
came, and each is parsed the first time that it is looked at, so that following the topic costs the answers nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from schemas.control.base import moment_us
from schemas.status import GOVERNANCE, BudgetStatus

Unreadable = Callable[[str], None]


@dataclass(slots=True)
class _Kept:
    value: bytes
    topic: str
    parsed: BudgetStatus | None = None


class Statuses:
    """One thread writes (`take`), others read: every step is one operation on a dict."""

    def __init__(self, unreadable: Unreadable | None = None) -> None:
        self._kept: dict[str, dict[int, _Kept]] = {}
        self._unreadable = unreadable
        #: The record that was written last, of any budget: it tells how far counting has come.
        self._newest: _Kept | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def take(self, key: bytes, value: bytes | None, topic: str = "") -> None:
        """One record. A key that is none of ours is told and passed over: the rest stays in force. What a topic retires
        is its own: a budget that became one person's stands on the other from then on, in whatever order both are read.
        """
        budget_id, _, start = key.decode("utf-8", "replace").rpartition("|")
        if budget_id == GOVERNANCE:
            return
        try:
            start_us = moment_us(datetime.fromisoformat(start))
        except ValueError:
            self._tell(f"key {key!r}")
            return
        mine = self._kept.setdefault(budget_id, {})
        known = mine.get(start_us)
        if value is None:
            if known is not None and known.topic == topic:
                del mine[start_us]
                self._count -= 1
            if not mine:
                self._kept.pop(budget_id, None)
            return
        self._count -= known is not None
        mine[start_us] = self._newest = _Kept(value, topic)
        self._count += 1

    def of(self, budget_id: str, start_us: int) -> BudgetStatus | None:
        """The status of one period; None where there is none that can be read."""
        kept = self._kept.get(budget_id, {}).get(start_us)
        return None if kept is None else self._parsed(kept)

    def stands(self, budget_id: str, start_us: int) -> bool:
        """Whether there is a status of one period, readable or not."""
        return start_us in self._kept.get(budget_id, {})

    def before(self, budget_id: str, start_us: int) -> BudgetStatus | None:
        """The status of the newest period that began earlier."""
        mine = self._kept.get(budget_id)
        if mine is None:
            return None
        earlier = [one for one in tuple(mine) if one < start_us]
        kept = mine.get(max(earlier)) if earlier else None
        return None if kept is None else self._parsed(kept)

    def newest(self) -> BudgetStatus | None:
        """The status that was written last."""
        return None if self._newest is None else self._parsed(self._newest)

    def _parsed(self, kept: _Kept) -> BudgetStatus | None:
        if kept.parsed is None and kept.value:
            try:
                kept.parsed = BudgetStatus.model_validate_json(kept.value)
            except ValidationError as error:
                kept.value = b""
                self._tell(str(error))
        return kept.parsed

    def _tell(self, why: str) -> None:
        if self._unreadable is not None:
            self._unreadable(why)
