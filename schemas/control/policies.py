"""In: which calls are in order. Out: the record of one policy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.control.base import Criticality, Id, Record, Stage, Text
from schemas.control.budgets import Mode

#: What a policy makes of a call, the gravest first: of several policies the gravest verdict stands.
Verdict = Literal[
    "forbidden", "unapproved", "needs_review", "missing_fields", "unclear", "discouraged", "excepted", "allowed"
]
VERDICTS: tuple[Verdict, ...] = (
    "forbidden",
    "unapproved",
    "needs_review",
    "missing_fields",
    "unclear",
    "discouraged",
    "excepted",
    "allowed",
)
#: Verdicts that are violations; `unclear` is a question to an owner, `discouraged` advice.
VIOLATIONS: tuple[Verdict, ...] = ("forbidden", "unapproved", "needs_review", "missing_fields")
#: Rules that every house has, named on the rows that they make unclear.
UNREGISTERED_USE_CASE = "(use_case)"
UNKNOWN_DATA_CLASS = "(data_class)"


class When(Record):
    """Which calls a policy is about: all that match every selector given, by any of its values."""

    department: tuple[Id, ...] = ()
    team: tuple[Id, ...] = ()
    use_case: tuple[Id, ...] = ()
    workflow: tuple[Id, ...] = ()
    role: tuple[Id, ...] = ()
    stage: tuple[Stage, ...] = ()
    criticality: tuple[Criticality, ...] = ()
    data_class: tuple[Id, ...] = ()


class Choice(Record):
    """Models and providers by name; a trailing `*` is a family. A call is chosen by its model or its provider."""

    models: tuple[Text, ...] = ()
    providers: tuple[Text, ...] = ()


class Policy(Record):
    """What holds for the calls of `when`: those are governed, and allowed where nothing here speaks against them. With
    `allow`, everything that it does not choose is forbidden; `forbid` and `discourage` speak of what they choose.
    """

    kind: Literal["policy"] = "policy"
    id: Id
    when: When = When()
    allow: Choice | None = None
    discourage: Choice | None = None
    forbid: Choice | None = None
    needs_approval: bool = Field(
        default=False,
        description="The call's `approval` must name a permission that is approved, in force, and about such calls.",
    )
    unattended: tuple[Id, ...] | None = Field(
        default=None,
        description="Workflows that may run without human review, where the use case acts alone; not given: all.",
    )
    required_fields: tuple[Id, ...] = Field(default=(), description="Fields of the event that may not be missing.")
    retention_class: Id | None = None
    mode: Mode = "warn"
    owner: Text
    contact: Text | None = None
    reason: Text

    @model_validator(mode="after")
    def _says_something(self) -> Policy:
        rules = (self.allow, self.discourage, self.forbid, self.unattended, self.retention_class)
        if all(rule is None for rule in rules) and not self.needs_approval and not self.required_fields:
            raise ValueError(
                "a policy says something: allow, discourage, forbid, needs_approval, unattended, required_fields or "
                "retention_class"
            )
        return self
