"""In: a shard's questions. Out: the history's answers, given to the shard between two settlements.

Three threads ask: for the past of new budgets, for what is behind alerts, and for slow reviews; a shard hands over and
picks up.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.agents.base.asker import Answered, BaseAsker, Waiting
from streams.agents.investigation.detail import SpikeQuestion
from streams.agents.investigation.investigator import Investigator
from streams.agents.reviews.reviewer import Reviewer
from streams.agents.shard import Shard


@dataclass(frozen=True, slots=True)
class Beside:
    """None: nobody asks."""

    asker: BaseAsker | None
    investigator: Investigator | None
    reviewer: Reviewer | None = None

    def start(self) -> None:
        for one in (self.asker, self.investigator, self.reviewer):
            if one is not None:
                one.start()

    def stop(self) -> None:
        for one in (self.asker, self.investigator, self.reviewer):
            if one is not None:
                one.stop()

    def enable(self, shard: Shard) -> None:
        """Let the shard know who takes its questions; call it once."""
        shard.budgets.bases.enabled = self.asker is not None
        shard.looks.enabled = shard.spike_looks.enabled = self.investigator is not None
        shard.reviews.enabled = self.reviewer is not None
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
            looked = self.investigator.take(shard.partition)
            shard.looks.give(one for one in looked if not isinstance(one.question, SpikeQuestion))
            shard.spike_looks.give(one for one in looked if isinstance(one.question, SpikeQuestion))
        if self.reviewer is not None:
            shard.reviews.give(self.reviewer.take(shard.partition))

    def ask(self, shard: Shard) -> None:
        """After it: what the shard wants to know."""
        question = shard.budgets.bases.take_question()
        if self.asker is not None and question is not None:
            self.asker.put(question)
        for look in (*shard.looks.take_questions(), *shard.spike_looks.take_questions()):
            if self.investigator is not None:
                self.investigator.put(look)
        for review in shard.reviews.take_questions():
            if self.reviewer is not None:
                self.reviewer.put(review)

    def drop(self, partition: int) -> None:
        """The shard is not ours any more."""
        for one in (self.asker, self.investigator, self.reviewer):
            if one is not None:
                one.drop(partition)
