"""In: questions behind alerts on budgets and spikes. Out: ClickHouse's answers as the agents take them: the rooms put
together.
"""

from __future__ import annotations

from typing import cast

from sinks.investigation.spending import Asked, Part, Spending
from sinks.investigation.spikes import SpikeCalls
from sinks.recovery.bases import BaseSums
from streamgauge.agents_asking import Asking, require_rows
from streamgauge.agents_spikes import spike_detail
from streams.agents.investigation.detail import (
    CauseQuestion,
    Detail,
    Dimension,
    Mover,
    Moves,
    Sibling,
    SiblingQuestion,
    SpikeDetail,
    SpikeQuestion,
)


class AgentsDetail:
    """Honours `streams.agents.investigation.detail.SpendingDetail`. Not thread-safe."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def causes(self, question: CauseQuestion) -> Detail:
        """What the scope used now and before, and by what."""
        asked = Asked(question.selectors, question.unit, question.before, question.now, question.below)
        with self._asking as (database, log):
            require_rows(BaseSums(database, log, self._asking.clock), question.below)
            parts = Spending(database, log).parts(asked)
        whole = next((part for part in parts if part.dimension == "all"), Part("all", "", 0, 0, 0, 0, 0, 0))
        movers = [
            Mover(cast(Dimension, part.dimension), part.value, part.now, part.before)
            for part in parts
            if part.dimension != "all"
        ]
        return Detail(
            whole.now,
            whole.before,
            _share(whole.cache_now, whole.input_now),
            _share(whole.cache_before, whole.input_before),
            tuple(movers),
        )

    def siblings(self, question: SiblingQuestion) -> Moves:
        """What the scope and its siblings used in the hour before and the hour after."""
        asked = Asked(question.selectors, question.unit, question.before, question.after, question.below)
        with self._asking as (database, log):
            require_rows(BaseSums(database, log, self._asking.clock), question.below)
            found = Spending(database, log).neighbours(asked)
        # Whichever selector is varied, the scope's own values are the scope.
        first = next((one.column for one in found), "")
        own = [one for one in found if one.own and one.column == first]
        others = [Sibling(one.column, one.value, one.before, one.now) for one in found if not one.own]
        return Moves(sum(one.before for one in own), sum(one.now for one in own), tuple(others))

    def spike(self, question: SpikeQuestion) -> SpikeDetail:
        """What a team or use case did in a spike, and what its use is usually made of."""
        with self._asking as (database, log):
            require_rows(BaseSums(database, log, self._asking.clock), question.below)
            return spike_detail(SpikeCalls(database, log), question)

    def close(self) -> None:
        """Give back the connection."""
        self._asking.close()


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None
