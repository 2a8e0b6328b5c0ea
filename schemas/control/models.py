"""In: which models the organisation knows. Out: the record of one catalogue entry: its class and what it is approved
for.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.control.base import Id, Record, Text


class CatalogueModel(Record):
    """One model, or a family of them by a trailing `*`. The longest match wins; an exact id beats any family."""

    kind: Literal["model"] = "model"
    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-/@:]*\*?$", max_length=128)
    provider: Id | None = None
    model_class: Id = Field(description="Price and ability class, such as small, standard, frontier.")
    approved_for: tuple[Id, ...] = Field(default=(), description="Data classes; empty: not restricted here.")
    note: Text | None = None
