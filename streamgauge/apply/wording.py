"""In: what pydantic found wrong with a document. Out: the same in words for whoever wrote the file, with what to do."""

from __future__ import annotations

import difflib
from typing import Any, Final, get_args

from pydantic import BaseModel

from schemas.control.budgets import Scope

#: What a scope may name in a file.
SELECTORS: Final = tuple(name for name in Scope.model_fields if name != "within")
#: What is wished for, and is not tallied: what to write instead.
_INSTEAD: Final = {
    "model": "put the model into a class of its own (kind: model) and write model_class",
    "provider": "put the provider's models into a class of their own (kind: model) and write model_class",
    "credential": "the directory says whose a credential is: write team",
    "source": "the directory says whose a source is: write team",
    "application": "write workflow or project",
    "service": "write workflow or project",
    "cost_center": "write department or team",
    "tags": "write project, workflow or use_case",
}
_ALIASES: Final = {
    "credential_id": "credential",
    "api_key": "credential",
    "tag": "tags",
    "response_model": "model",
    "cost_centre": "cost_center",
}
#: The selector that is meant by a column's name.
_COLUMNS: Final = {"team_id": "team", "project_id": "project", "user_id": "user", "user_hash": "user"}
#: Wishes for one budget that is many.
_EACH: Final = ("per", "each", "for_each", "group_by", "split_by", "by")
_ANYBODY: Final = ("*", "each", "every", "all", "any")
_ONE_EACH: Final = "one document is one budget, with one limit for all that its scope selects: write one document each"


def explain(model: type[BaseModel], wrong: Any) -> str:
    """One sentence, beginning small, for what pydantic says of one place."""
    place = wrong["loc"]
    given = wrong["input"]
    if wrong["type"] == "missing":
        return "is missing"
    if wrong["type"] == "extra_forbidden":
        return _unknown_field(model, place)
    in_scope = len(place) > 1 and place[-2] == "scope"
    if in_scope and given in _ANYBODY:
        return f"{given!r} is nobody's name; {_ONE_EACH}"
    if wrong["type"] == "greater_than" and place[-1] in ("limit", "plan", "extra"):
        way_out = "; to forbid use altogether write a policy" if place[-1] == "limit" else ""
        return f"must be above zero{way_out} (it is {given!r})"
    message = wrong["msg"].removeprefix("Value error, ")
    message = f"{message[0].lower()}{message[1:]}"
    told = isinstance(given, dict | list | tuple) or repr(given) in message.split()
    return message if told else f"{message} (it is {given!r})"


def scope_faults(scope: Scope) -> list[tuple[str, str]]:
    """(field, what is wrong) of a scope that a file gives, beyond what its model says."""
    faults = []
    if scope.within:
        faults.append(("within", "is filled in by `streamgauge apply`: name the department alone"))
    if scope.user in _ANYBODY:
        faults.append(("user", f"{scope.user!r} is nobody's name; {_ONE_EACH}"))
    return faults


def meant(name: str, known: set[str]) -> str:
    """`; did you mean 'search'?`, or nothing."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _unknown_field(model: type[BaseModel], place: tuple[str | int, ...]) -> str:
    name = str(place[-1])
    if name in _EACH or name.startswith("per_"):
        return f"is not a field here: {_ONE_EACH}"
    if len(place) > 1 and place[-2] == "scope":
        return _unserved(name)
    known = _field_names(model)
    if name in known:
        return "is a field of another part of this document, not of this one"
    close = difflib.get_close_matches(name, known, n=1)
    return f"is not a field here{f'; did you mean {close[0]}?' if close else ''}"


def _unserved(name: str) -> str:
    """A selector that no tally is kept by."""
    if name in _COLUMNS:
        return f"is not a field here; did you mean {_COLUMNS[name]}?"
    wish = _ALIASES.get(name, name)
    served = ", ".join(SELECTORS)
    if wish in _INSTEAD:
        return f"budgets cannot be cut by {name}, because no sum is kept by it: {_INSTEAD[wish]}. Served are {served}"
    # Here and not above: columns come with pyarrow, which takes longer to load than most commands have to do.
    from schemas.enriched import ENRICHED
    from schemas.usage import USAGE_COLUMNS

    if name in USAGE_COLUMNS.names or name in ENRICHED.names:
        return f"budgets cannot be cut by {name}, because no sum is kept by it. Served are {served}"
    close = difflib.get_close_matches(name, SELECTORS, n=1)
    return f"is not a field here; {f'did you mean {close[0]}?' if close else f'budgets can be cut by {served}'}"


def _field_names(model: type[BaseModel]) -> list[str]:
    """Names of all fields of a model and of what it nests."""
    names = list(model.model_fields)
    for field in model.model_fields.values():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                names += _field_names(inner)
    return names
