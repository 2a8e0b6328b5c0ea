"""In: which calls are in order. Out: the record of one policy rule.

The contract stands so that documents can be written and reviewed; `apply` refuses it until enrich evaluates it.
"""

from __future__ import annotations

from typing import Literal

from schemas.control.base import Id, Record, Text


class Policy(Record):
    """When every `when` selector matches, the listed models and providers have this verdict."""

    kind: Literal["policy"] = "policy"
    id: Id
    verdict: Literal["allowed", "discouraged", "forbidden", "needs_approval", "needs_review"]
    models: tuple[Text, ...] = ()
    providers: tuple[Text, ...] = ()
    data_class: Id | None = None
    use_case: Id | None = None
    stage: Literal["exploratory", "production"] | None = None
    team: Id | None = None
    workflow: Id | None = None
    required_fields: tuple[Id, ...] = ()
    retention_class: Id | None = None
    owner: Text
    reason: Text
