"""In: the text of one YAML file. Out: its documents as plain data, with the line of every key and element.

PyYAML's safe loader reads the scalars, so no document can name a Python object. Two keys of the same name in one
mapping are refused: YAML itself would silently take the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from streamgauge.apply.problems import Place, Problem

Path = tuple[str | int, ...]
#: libyaml's, four times as fast, where PyYAML was built with it; both read the same.
_LOADER: Final[type[yaml.SafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Marked:
    """One document, or one element of a document that is a list. `lines` has the line of each path within it."""

    file: str
    data: Any
    lines: Mapping[Path, int]

    def place(self, path: Path = ()) -> Place:
        """Where a path stands, or the nearest thing above it that does."""
        while path and path not in self.lines:
            path = path[:-1]
        return Place(self.file, self.lines.get(path, 1))

    def part(self, path: Path) -> Marked:
        """The value under a path, with lines relative to it."""
        data = self.data
        for step in path:
            data = data[step]
        depth = len(path)
        lines = {inner[depth:]: line for inner, line in self.lines.items() if inner[:depth] == path}
        return Marked(self.file, data, lines)


def read_documents(file: str, text: str) -> tuple[list[Marked], list[Problem]]:
    """Every document of one file; a list at the top stands for its elements. Problems instead of exceptions."""
    problems: list[Problem] = []
    documents: list[Marked] = []
    loader = _LOADER(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            lines: dict[Path, int] = {}
            data = _value(loader, node, (), lines, file, problems)
            whole = Marked(file, data, lines)
            if isinstance(data, list):
                documents.extend(whole.part((index,)) for index in range(len(data)))
            elif data is not None:
                documents.append(whole)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.append(
            Problem(Place(file, mark.line + 1 if mark else 1), "", f"not YAML: {error.problem or error.context}")
        )
    except yaml.YAMLError as error:
        problems.append(Problem(Place(file, 1), "", f"not YAML: {error}"))
    finally:
        loader.dispose()
    return documents, problems


def _value(
    loader: yaml.SafeLoader, node: yaml.Node, path: Path, lines: dict[Path, int], file: str, problems: list[Problem]
) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for key, _ in node.value:
            if written.count(key.value) > 1:
                place = Place(file, key.start_mark.line + 1)
                problems.append(Problem(place, _dotted((*path, key.value)), "stands twice in the same mapping"))
                written = [name for name in written if name != key.value]
        loader.flatten_mapping(node)
        data: dict[str, Any] = {}
        for key, inner in node.value:
            name = str(loader.construct_object(key))
            lines[(*path, name)] = key.start_mark.line + 1
            data[name] = _value(loader, inner, (*path, name), lines, file, problems)
        return data
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, inner, (*path, index), lines, file, problems) for index, inner in enumerate(node.value)]
    try:
        return loader.construct_object(node)
    except ValueError as error:
        # A scalar that looks like a date and is none, such as 2026-13-01.
        problems.append(Problem(Place(file, node.start_mark.line + 1), _dotted(path), f"{node.value!r}: {error}"))
        return None


def _dotted(path: Path) -> str:
    return ".".join(str(step) for step in path)
