"""In: a shard's questions. Out: the history's answers, given to the shard between two settlements.

Two threads ask, one for the past of new budgets and one for what is behind alerts; a shard hands over and picks up.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.agents.base.asker import Answered, BaseAsker, Waiting
from streams.agents.investigation.investigator import Investigator
from streams.agents.shard import Shard


@dataclass(frozen=True, slots=True)
class Beside:
    """None: nobody asks."""

    asker: BaseAsker | None
    investigator: Investigator | None

    def start(self) -> None:
        for one in (self.asker, self.investigator):
            if one is not None:
                one.start()

    def stop(self) -> None:
        for one in (self.asker, self.investigator):
            if one is not None:
                one.stop()

    def enable(self, shard: Shard) -> None:
        """Let the shard know who takes its questions; call it once."""
        shard.budgets.bases.enabled = self.asker is not None
        shard.looks.enabled = self.investigator is not None
        if self.asker is None:
            shard.budgets.counting.no_history = "nobody is asked for it, since agents.history is off"

    def hear(self, shard: Shard) -> None:
        """Before a settlement: what has become of the shard's questions."""
        book = shard.budgets
        told = None if self.asker is None else self.asker.take(shard.partition)
        if isinstance(told, Answered):
            book.bases.give(told.question, told.bases)
        elif isinstance(told, Waiting):
            book.bases.wait(book, told.question, told.why, renew=told.renew)
        if self.investigator is not None:
            shard.looks.give(self.investigator.take(shard.partition))

    def ask(self, shard: Shard) -> None:
        """After it: what the shard wants to know."""
        question = shard.budgets.bases.take_question()
        if self.asker is not None and question is not None:
            self.asker.put(question)
        for look in shard.looks.take_questions():
            if self.investigator is not None:
                self.investigator.put(look)

    def drop(self, partition: int) -> None:
        """The shard is not ours any more."""
        for one in (self.asker, self.investigator):
            if one is not None:
                one.drop(partition)
