"""In: what ClickHouse told of the calls in a spike. Out: the few figures that incidents and words are made of.

They stand in the shard's checkpoint, so that every later state of the episode tells the same.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from schemas.alerts import Cause

#: Fewer people are not counted exactly, nor is one of them pointed at.
PEOPLE_LEAST: Final = 5


class Pair(BaseModel):
    """A share now and in the span before."""

    model_config = ConfigDict(frozen=True)

    now: float
    before: float

    def rose(self, to: float, by: float) -> bool:
        return self.now >= to and self.now >= self.before + by


class Among(BaseModel):
    """How a rise lies on people or sessions: `number` there are; the share of the one that carries most; how many carry
    60% of it, 0: too many to count.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    first_share: float
    carriers: int


class Key(BaseModel):
    """The credential that carries most: its share of the rise; what is new about it; the new sources' share of its
    cost. `known`: it was in use before; `kept`: what its old sources spend now, as a share of what is usual for it.
    """

    model_config = ConfigDict(frozen=True)

    share: float
    known: bool
    new_sources: int
    new_clients: int
    new_share: float
    kept: float


class Facts(BaseModel):
    """None: nothing of that kind stands in the calls. `same_prompt`: share of calls with the commonest prompt;
    `calls_per_prompt`: calls now over different prompts. `carried`: values of dimensions, strongest first;
    `uncarried_share`: the rest of the first dimension; `spread`: it rose as a whole, made up as it usually is. They are
    of calls before `until_us`, event time.
    """

    model_config = ConfigDict(frozen=True)

    until_us: int
    carried: tuple[Cause, ...]
    uncarried_share: float
    spread: bool
    retries: Pair
    growing: Pair
    exploratory: Pair
    people: Among | None = None
    sessions: Among | None = None
    same_prompt: Pair | None = None
    same_prompt_calls: int = 0
    calls_per_prompt: float | None = None
    key: Key | None = None
