"""In: nothing. Out: what is known of an episode besides its sums: whether single calls were looked into, and the
facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams.agents.spikes.explain.facts import Facts


@dataclass(frozen=True, slots=True)
class Known:
    """`asked`: an answer is waited for; `away`: none came; `found`: here it is; `nobody`: nobody is asked. `facts` of
    what is `asked` or `away` are of the calls before the first bucket was over.
    """

    calls: Literal["nobody", "asked", "away", "found"] = "nobody"
    facts: Facts | None = None
