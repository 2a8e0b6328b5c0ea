"""In: files and folders. Out: every record that they define, each with its place; or every problem, none of it
applied.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from schemas.control.budgets import Budget
from schemas.control.models import CatalogueModel
from schemas.control.records import ControlRecord, record_key
from schemas.control.use_cases import UseCase
from schemas.prices.overrides import PriceOverride
from schemas.pseudonym import hash_user
from streamgauge.apply.directory import (
    DirectoryDocument,
    SenderEntry,
    TeamEntry,
    group_senders,
    group_teams,
    sender_entries,
)
from streamgauge.apply.marked_yaml import Marked, read_documents
from streamgauge.apply.problems import ApplyError, Place, Problem

_RECORDS: Final[dict[str, type[UseCase] | type[CatalogueModel] | type[Budget] | type[PriceOverride]]] = {
    "use_case": UseCase,
    "model": CatalogueModel,
    "budget": Budget,
    "price": PriceOverride,
}
KINDS: Final = ("directory", *_RECORDS)
#: Contracts that exist although no worker of this version acts on them.
NOT_EVALUATED: Final = ("policy", "exception", "activity")
#: Kinds of records that a document of each kind defines, for `--prune`.
DEFINES: Final[dict[str, tuple[str, ...]]] = {"directory": ("team", "sender"), **{kind: (kind,) for kind in _RECORDS}}


_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files define: records by key, where each stands, and the kinds of documents that were there."""

    records: dict[str, ControlRecord]
    places: dict[str, Place]
    kinds: frozenset[str]


def load_files(paths: Sequence[Path], user_key: bytes | None) -> Loaded:
    """Read files, and in folders every `*.yaml` and `*.yml`. ApplyError with all problems.

    `user_key` None is refused only where a directory names members.
    """
    problems: list[Problem] = []
    documents: list[Marked] = []
    for path in paths:
        for file in _files(path, problems):
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                problems.append(Problem(Place(str(file), 0), "", f"cannot be read: {error}"))
                continue
            found, wrong = read_documents(str(file), text)
            documents += found
            problems += wrong
    reader = _Reader(user_key, problems)
    for document in documents:
        reader.take(document)
    loaded = reader.finish()
    if problems:
        raise ApplyError(problems)
    return loaded


def _files(path: Path, problems: list[Problem]) -> list[Path]:
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.suffix in (".yaml", ".yml"))
        if not inside:
            problems.append(Problem(Place(str(path), 0), "", "this folder holds no *.yaml file"))
        return inside
    if not path.exists():
        problems.append(Problem(Place(str(path), 0), "", "this file does not exist"))
        return []
    return [path]


def _explain(model: type[BaseModel], wrong: Any) -> str:
    """What pydantic found, in words for whoever wrote the file."""
    if wrong["type"] == "missing":
        return "is missing"
    if wrong["type"] == "extra_forbidden":
        name = str(wrong["loc"][-1])
        known = _field_names(model)
        if name in known:
            return "is a field of another part of this document, not of this one"
        close = difflib.get_close_matches(name, known, n=1)
        return f"is not a field here{f'; did you mean {close[0]}?' if close else ''}"
    message = wrong["msg"].removeprefix("Value error, ")
    message = f"{message[0].lower()}{message[1:]}"
    given = wrong["input"]
    told = isinstance(given, dict | list | tuple) or repr(given) in message.split()
    return message if told else f"{message} (it is {given!r})"


def _field_names(model: type[BaseModel]) -> list[str]:
    """Names of all fields of a model and of what it nests."""
    names = list(model.model_fields)
    for field in model.model_fields.values():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                names += _field_names(inner)
    return names


class _Reader:
    """Collects documents of all files, then groups and compares them."""

    def __init__(self, user_key: bytes | None, problems: list[Problem]) -> None:
        self._key = user_key
        self._problems = problems
        self._teams: list[tuple[TeamEntry, Place]] = []
        self._senders: list[SenderEntry] = []
        self._single: list[tuple[ControlRecord, Place]] = []
        self._kinds: set[str] = set()

    def take(self, document: Marked) -> None:
        """Read one document; what is wrong with it becomes problems."""
        kind = document.data.get("kind") if isinstance(document.data, dict) else None
        if not isinstance(kind, str):
            self._problem(
                document.place(), "kind", f"every document is a mapping with a kind, one of {', '.join(KINDS)}"
            )
        elif kind in NOT_EVALUATED:
            self._problem(
                document.place(("kind",)),
                "kind",
                f"{kind} documents are not evaluated by this version: applying one would promise what nobody does",
            )
        elif kind == "directory":
            directory = self._parse(DirectoryDocument, document)
            if directory is not None:
                self._kinds.add(kind)
                self._take_directory(directory, document)
        elif kind in _RECORDS:
            record: Any = self._parse(_RECORDS[kind], document)
            if record is not None:
                self._kinds.add(kind)
                self._single.append((record, document.place()))
        else:
            close = difflib.get_close_matches(kind, KINDS, n=1)
            meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(KINDS)}"
            self._problem(document.place(("kind",)), "kind", f"{kind!r} is not known; {meant}")

    def finish(self) -> Loaded:
        teams, wrong_teams = group_teams(self._teams)
        senders, wrong_senders = group_senders(self._senders)
        self._problems += wrong_teams + wrong_senders
        records: dict[str, ControlRecord] = {}
        places: dict[str, Place] = {}
        defined: list[tuple[ControlRecord, Place]] = [*teams, *senders, *self._single]
        for record, place in defined:
            key = record_key(record)
            if key in places:
                self._problem(place, "id", f"{key} is defined twice; the other is at {places[key]}")
                continue
            records[key], places[key] = record, place
        return Loaded(records, places, frozenset(self._kinds))

    def _take_directory(self, directory: DirectoryDocument, document: Marked) -> None:
        self._teams += [(entry, document.place(("teams", index))) for index, entry in enumerate(directory.teams)]
        if directory.members and self._key is None:
            self._problem(
                document.place(("members",)),
                "members",
                "user ids are published as keyed hashes only, and there is no key: set STREAMGAUGE_ENRICH__USER_KEY "
                "to the key that `streamgauge enrich` has",
            )
        key = self._key or b""
        self._senders += sender_entries(
            directory, lambda name, index: document.place((name, index)), lambda user: hash_user(key, user)
        )

    def _parse(self, model: type[_Model], document: Marked) -> _Model | None:
        try:
            return model.model_validate(document.data)
        except ValidationError as error:
            for wrong in error.errors():
                self._problem(document.place(wrong["loc"]), ".".join(map(str, wrong["loc"])), _explain(model, wrong))
            return None

    def _problem(self, place: Place, field: str, message: str) -> None:
        self._problems.append(Problem(place, field, message))
