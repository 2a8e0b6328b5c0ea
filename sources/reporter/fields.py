"""In: nothing. Out: the field types that both event values share: bounded text, counts within limits, moments with a
zone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import uuid4

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from schemas.control.base import moment_us
from schemas.usage import MAX_MILLISECONDS, MAX_STRING_BYTES, MAX_TOKENS, MIN_OCCURRED_AT_US


def _short(value: str) -> str:
    size = len(value.encode("utf-8"))
    if size > MAX_STRING_BYTES:
        raise ValueError(f"{size} bytes of text are more than {MAX_STRING_BYTES}: send an id or a name, never content")
    return value


def _plausible(moment: datetime) -> datetime:
    if moment_us(moment) < MIN_OCCURRED_AT_US:
        raise ValueError(f"{moment.isoformat()} lies before 2015: was it built from seconds instead of milliseconds?")
    return moment


ShortText = Annotated[str, Field(min_length=1), AfterValidator(_short)]
Tokens = Annotated[int, Field(ge=0, le=MAX_TOKENS)]
Milliseconds = Annotated[int, Field(ge=0, le=MAX_MILLISECONDS)]
Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]


def new_id() -> str:
    """A random id of 32 hex digits."""
    return uuid4().hex


class EventValue(BaseModel):
    """Base of both events: immutable, strict about types, and no field that the contract does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
