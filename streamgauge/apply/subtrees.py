"""In: `subtrees.yaml` at the top of a tree of files. Out: which folder belongs to whom, and what that owner holds.

Looked for from each applied file upward; the topmost one counts, so that nobody below can write themselves another.
What lies in no owner's folder is the root's, and may define everything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from schemas.control.base import Id, Record, Text
from streamgauge.apply.marked_yaml import Marked, read_documents
from streamgauge.apply.problems import Place, Problem
from streamgauge.apply.wording import explain

#: The file's name.
SUBTREES: Final = "subtrees.yaml"
#: Kinds that may be left to an owner; models, prices and principals are the root's alone.
Grantable = Literal[
    "directory",
    "department",
    "use_case",
    "budget",
    "policy",
    "exception",
    "exception_rule",
    "acknowledgement",
    "activity",
]


class Subtree(Record):
    """A folder, its owner, and what files below it may define: documents of these kinds that lie within these
    departments (with all below them), teams and use cases.
    """

    kind: Literal["subtree"] = "subtree"
    folder: Text = Field(description="Relative to the file that says so.")
    owner: Text = Field(description="A principal or a group, as people call it.")
    departments: tuple[Id, ...] = ()
    teams: tuple[Id, ...] = ()
    use_cases: tuple[Id, ...] = ()
    kinds: tuple[Grantable, ...] = ("budget", "exception", "acknowledgement", "activity")

    @property
    def holds(self) -> str:
        """`department product, team search and use case answers`, or `nothing`."""
        parts = [
            *(f"department {one}" for one in self.departments),
            *(f"team {one}" for one in self.teams),
            *(f"use case {one}" for one in self.use_cases),
        ]
        return (
            " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else (parts[0] if parts else "nothing")
        )


@dataclass(frozen=True, slots=True)
class Trees:
    """All trees that applied files lie in: top folder -> owned folder -> its subtree."""

    owned: Mapping[Path, Mapping[Path, Subtree]]

    def of(self, file: str) -> Subtree | None:
        """Whose folder a file lies in, the deepest first; None: the root's, or no tree at all. A link is of the folder
        that it lies in; where that is nobody's, of the folder that it leads to.
        """
        for way in _ways(Path(file)):
            for folder in way:
                for folders in self.owned.values():
                    if folder in folders:
                        return folders[folder]
        return None


def _ways(path: Path) -> tuple[list[Path], list[Path]]:
    """The folders above a file, the nearest first: of the file as it is named, and of what it leads to if it is a
    link.
    """
    named = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow the file's own link
    return [folder.resolve() for folder in named.parents], list(path.resolve().parents)


def tops_of(path: Path) -> set[Path]:
    """The highest folder from the file upward that has a `subtrees.yaml`; of a link also from where it leads."""
    found = (next((one for one in reversed(way) if (one / SUBTREES).is_file()), None) for way in _ways(path))
    return {top for top in found if top is not None}


def read_trees(files: Sequence[Path], problems: list[Problem]) -> Trees:
    """The trees that the files lie in; what is wrong with them becomes problems."""
    shown = {file.resolve(): str(file) for file in files}
    tops: set[Path] = set()
    for file in files:
        mine = tops_of(file)
        tops |= mine
        if file.name == SUBTREES and mine and file.resolve().parent not in mine:
            why = f"owners of folders stand in {min(mine) / SUBTREES} alone: move it there"
            problems.append(Problem(Place(str(file), 0), "", why))
    owned = {}
    for top in sorted(tops):
        name = top / SUBTREES
        owned[top] = _read(top, shown.get(name.resolve(), str(name)), problems)
    return Trees(owned)


def rest_of_trees(trees: Trees, files: Sequence[Path]) -> list[Path]:
    """The YAML files of the trees that are not among those applied."""
    applied = {file.resolve() for file in files}
    found = [file for top in trees.owned for file in top.rglob("*") if file.suffix in (".yaml", ".yml")]
    return sorted(file for file in found if file.resolve() not in applied)


def _read(top: Path, name: str, problems: list[Problem]) -> dict[Path, Subtree]:
    folders: dict[Path, Subtree] = {}
    try:
        documents, wrong = read_documents(name, (top / SUBTREES).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(Place(name, 0), "", f"cannot be read: {error}"))
        return folders
    problems += wrong
    for document in documents:
        subtree = _parse(document, problems)
        if subtree is None:
            continue
        folder = (top / subtree.folder).resolve()
        place = document.place(("folder",))
        if folder == top or top not in folder.parents:
            problems.append(Problem(place, "folder", f"{subtree.folder!r} is not below the folder of this file"))
        elif not folder.is_dir():
            problems.append(Problem(place, "folder", f"there is no folder {subtree.folder!r} here"))
        elif folder in folders:
            problems.append(
                Problem(place, "folder", f"{subtree.folder!r} has an owner already: {folders[folder].owner}")
            )
        else:
            folders[folder] = subtree
    return folders


def _parse(document: Marked, problems: list[Problem]) -> Subtree | None:
    kind = document.data.get("kind") if isinstance(document.data, dict) else None
    if kind != "subtree":
        # Other documents of the file are read with the rest.
        return None
    try:
        return Subtree.model_validate(document.data)
    except ValidationError as error:
        for wrong in error.errors():
            field = ".".join(map(str, wrong["loc"]))
            problems.append(Problem(document.place(wrong["loc"]), field, explain(Subtree, wrong)))
        return None
