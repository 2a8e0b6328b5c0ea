"""In: the selectors and choices of a document. Out: whether a call is among those that they select or choose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.control.departments import Department
from schemas.control.models import CatalogueModel
from schemas.control.policies import Choice, When

#: What is known of one call, by column of an enriched row; an absent column is null.
Values = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Selection:
    """Columns and the values that match; a call is selected when each of its columns has one of them."""

    wanted: tuple[tuple[str, frozenset[str]], ...]

    @classmethod
    def of(cls, wanted: Mapping[str, Iterable[str]]) -> Selection:
        return cls(tuple((column, frozenset(values)) for column, values in wanted.items()))

    def selects(self, values: Values) -> bool:
        return all(values.get(column) in accepted for column, accepted in self.wanted)


def selection_of(when: When, below: Mapping[str, Sequence[str]]) -> Selection:
    """`below`: a department with all that lie below it."""
    wanted: dict[str, tuple[str, ...]] = {}
    for name, values in when.model_dump().items():
        if name == "department":
            wanted[name] = tuple(one for value in values for one in below.get(value, (value,)))
        else:
            wanted["team_id" if name == "team" else name] = values
    return Selection.of({column: values for column, values in wanted.items() if values})


def departments_below(departments: Mapping[str, Department]) -> dict[str, list[str]]:
    """Each department -> itself and all below it. A circle of parents, which `apply` refuses, does no harm."""
    children: dict[str | None, list[str]] = defaultdict(list)
    for department in departments.values():
        children[department.parent].append(department.id)
    below: dict[str, list[str]] = {}
    for name in {*departments, *(parent for parent in children if parent is not None)}:
        found = [name]
        for one in found:
            found.extend(child for child in children[one] if child not in found)
        below[name] = found
    return below


def fits(pattern: str, name: str) -> bool:
    """Whether a name is meant by a pattern: itself, or a family by a trailing `*`."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def chooses(models: Iterable[str], providers: Iterable[str], values: Values) -> bool:
    """Whether a call is chosen, by its model or by its provider."""
    model, provider = values.get("model"), values.get("provider")
    return (model is not None and any(fits(one, model) for one in models)) or (
        provider is not None and any(fits(one, provider) for one in providers)
    )


def is_chosen(choice: Choice, values: Values) -> bool:
    return chooses(choice.models, choice.providers, values)


class Catalogue:
    """The model catalogue: exact ids first, then the longest family that begins the model's name."""

    def __init__(self, models: Iterable[CatalogueModel]) -> None:
        self._exact: dict[str, CatalogueModel] = {}
        self._families: list[CatalogueModel] = []
        for model in models:
            if model.id.endswith("*"):
                self._families.append(model)
            else:
                self._exact[model.id] = model
        self._families.sort(key=lambda family: (-len(family.id), family.id))
        self.restricts = any(model.approved_for for model in (*self._exact.values(), *self._families))

    def entry(self, model: str | None) -> CatalogueModel | None:
        if model is None:
            return None
        exact = self._exact.get(model)
        return exact or next((family for family in self._families if fits(family.id, model)), None)
