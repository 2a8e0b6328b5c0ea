"""In: who may decide. Out: the record of one person or service whose decisions count, and the key that proves them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.control.base import Id, Record, Text

Right = Literal["manager", "platform", "finance", "security"]
#: Who may approve beyond a hard limit or a policy; a manager may acknowledge a soft one.
REVIEWERS: tuple[Right, ...] = ("platform", "finance", "security")


class Principal(Record):
    """Somebody who decides. Without `teams` and `departments` the rights hold for the whole platform."""

    kind: Literal["principal"] = "principal"
    id: Id
    name: Text | None = None
    contact: Text | None = None
    rights: tuple[Right, ...] = Field(min_length=1)
    teams: tuple[Id, ...] = ()
    departments: tuple[Id, ...] = ()
    public_key: Text | None = Field(
        default=None,
        description="OpenSSH Ed25519 public key (`ssh-ed25519 AAAA…`); decisions by command need it, files do not.",
    )
