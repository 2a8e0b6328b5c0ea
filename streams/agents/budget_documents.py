"""In: what a shard knows of its budgets beside their totals. Out: JSON documents of a checkpoint by key; and back.

`crossing/…`: a level that was reached; `exception/…`: what was told last; `budget/…`: since when it is counted, and
which of its periods stand on the status topic.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from streams.agents.counting import Counting
from streams.agents.crossings import Crossing, Crossings
from streams.agents.exceptions.watch import ExceptionWatch
from streams.agents.status_book import StatusBook


class BudgetDocuments:
    """Those of one shard. `changed`: budgets whose own document has to be written anew."""

    def __init__(
        self, crossings: Crossings, exceptions: ExceptionWatch, counting: Counting, statuses: StatusBook
    ) -> None:
        self._crossings, self._exceptions = crossings, exceptions
        self._counting, self._statuses = counting, statuses
        self.changed: set[str] = set()

    def take(self) -> dict[str, str | None]:
        """What changed since the last call; None: gone."""
        documents: dict[str, str | None] = {
            f"crossing/{key}": text for key, text in self._crossings.take_changes().items()
        }
        documents |= self._exceptions.take_documents()
        for budget_id in self.changed | self._statuses.changed:
            document = None
            if budget_id in self._counting.terms:
                document = {
                    "term": self._counting.dump(budget_id),
                    "published": self._statuses.starts(budget_id),
                    "personal": self._statuses.is_personal(budget_id),
                }
            documents[f"budget/{budget_id}"] = None if document is None else json.dumps(document)
        self.changed.clear()
        self._statuses.changed.clear()
        return documents

    def all(self) -> dict[str, str | None]:
        """Every one."""
        self.changed.update(self._counting.terms)
        self._crossings.mark_all()
        self._exceptions.mark_all()
        return self.take()

    def restore(self, documents: Mapping[str, str]) -> None:
        """Take back what `take` gave, all keys together."""
        for key, text in documents.items():
            kind, _, name = key.partition("/")
            if kind == "crossing":
                self._crossings.put(Crossing.load(text))
            elif kind == "exception":
                self._exceptions.restore(name, text)
            elif kind == "budget":
                held = json.loads(text)
                if isinstance(held, list):
                    # State version 2.
                    *term, published = held
                    held = {"term": term, "published": published, "personal": False}
                self._counting.load(name, held["term"])
                for start_us in held["published"]:
                    self._statuses.published(name, start_us, personal=held["personal"])
        self._crossings.take_changes()
