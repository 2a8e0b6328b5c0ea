"""In: nothing. Out: what all sections of the settings share: strictness, and kinds of values."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_settings import NoDecode

Port = Annotated[int, Field(ge=0, le=65_535)]
NonEmpty = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


#: A list in the TOML file, or names joined by commas in a variable.
Names = Annotated[tuple[NonEmpty, ...], NoDecode, BeforeValidator(_split)]


class Section(BaseModel):
    """Base of every section. Unknown settings are refused: a typo must not silently mean nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
