"""The page about control documents has every kind and every field of each, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, get_args

import pytest
from pydantic import BaseModel

from schemas.control.budgets import Scope
from schemas.control.decisions import Decision
from streamgauge.apply.directory import DirectoryDocument
from streamgauge.apply.kinds import BY_COMMAND, KINDS, SINGLE
from streamgauge.apply.subtrees import Subtree
from tests.docs.pages import page

PAGE: Final = page("docs/documents.md")
MODELS: Final[dict[str, type[BaseModel]]] = {
    "directory": DirectoryDocument,
    **SINGLE,
    "subtree": Subtree,
    "scope": Scope,
    "decision": Decision,
}
#: Have a section of their own.
SHARED: Final = (Scope, Decision)


def section(name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE.text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{PAGE} has no section {name}"
    return found[1]


def fields(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Every field that a file may hold, `scope.team` for one within another."""
    for name, field in model.model_fields.items():
        if name == "kind" and not before and "kind" in model.model_fields and model not in SHARED:
            continue
        if name == "within":
            continue
        inner = next(models_in(field.annotation), None)
        if inner is None or inner in SHARED:
            yield before + name
        else:
            yield from fields(inner, f"{before}{name}.")


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


@pytest.mark.parametrize("name", MODELS)
def test_every_field_is_told(name: str) -> None:
    rows = re.findall(r"^\| (`[^|]*`) \|", section(name), re.MULTILINE)
    told = [field for row in rows for field in re.findall(r"`([\w.]+)`", row)]
    assert sorted(told) == sorted(set(fields(MODELS[name])))


def test_every_kind_has_a_section() -> None:
    sections = re.findall(r"^## (.+)$", PAGE.text, re.MULTILINE)
    assert set(sections) == {*KINDS, *BY_COMMAND, "scope", "decision"}
