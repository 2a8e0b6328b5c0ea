"""In: files and folders. Out: every record that they define, each with its place; or every problem, none of it
applied.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from runtime.signatures import KeyUnusable, check_public_key
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Budget, Scope
from schemas.control.exceptions import ExceptionGrant
from schemas.control.policies import Policy
from schemas.control.principals import Principal
from schemas.control.records import ControlRecord, record_key
from schemas.pseudonym import hash_user
from streamgauge.apply.activities import activity_faults
from streamgauge.apply.contradictions import policy_faults
from streamgauge.apply.directory import (
    DirectoryDocument,
    SenderEntry,
    TeamEntry,
    group_senders,
    group_teams,
    sender_entries,
)
from streamgauge.apply.kinds import BY_COMMAND, KINDS, SINGLE
from streamgauge.apply.marked_yaml import Marked, read_documents
from streamgauge.apply.problems import ApplyError, Place, Problem
from streamgauge.apply.subtrees import SUBTREES, Trees, read_trees, rest_of_trees
from streamgauge.apply.wording import explain, scope_faults

_NO_KEY = (
    "user ids are published as keyed hashes only, and there is no key: set STREAMGAUGE_ENRICH__USER_KEY "
    "to the key that `streamgauge enrich` has"
)
#: A user id shorter than this may stand in other texts by chance.
_TELLING = 4

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Definition:
    """One place of one file that defines a record, or a term of one; `document` is the kind of the document."""

    key: str
    document: str
    place: Place
    entry: ControlRecord | TeamEntry | SenderEntry


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files define: records by key, where each stands, and the kinds of documents that were there."""

    records: dict[str, ControlRecord]
    places: dict[str, Place]
    kinds: frozenset[str]
    definitions: tuple[Definition, ...] = ()
    documents: Mapping[str, Marked] = field(default_factory=dict)
    trees: Trees = field(default_factory=lambda: Trees({}))

    def place(self, key: str, where: str = "") -> Place:
        """The line of a field (`scope.team`) of a record that the files define; of the record where that is one of
        many in its document.
        """
        document = self.documents.get(key)
        if document is None:
            return self.places[key]
        return document.place(tuple(int(step) if step.isdigit() else step for step in where.split(".") if step))


def load_files(paths: Sequence[Path], user_key: bytes | None) -> Loaded:
    """Read files, and in folders every `*.yaml` and `*.yml`. ApplyError with all problems.

    `user_key` None is refused only where people are named.
    """
    problems: list[Problem] = []
    documents: list[Marked] = []
    files = list(dict.fromkeys(file for path in paths for file in _files(path, problems)))
    for file in files:
        documents += _read(file, problems)
    reader = _Reader(user_key, problems)
    for document in documents:
        reader.take(document)
    loaded = reader.finish(read_trees(files, problems))
    problems += _defined_elsewhere(loaded, files)
    if problems:
        raise ApplyError(list(dict.fromkeys(problems)))
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


def _read(file: Path, problems: list[Problem]) -> list[Marked]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(Place(str(file), 0), "", f"cannot be read: {error}"))
        return []
    found, wrong = read_documents(str(file), text)
    problems += wrong
    return found


def _defined_elsewhere(loaded: Loaded, files: Sequence[Path]) -> list[Problem]:
    """Ids that another file of the tree, which is not applied now, defines too. Its own problems are its own."""
    found = []
    for file in rest_of_trees(loaded.trees, files):
        for document in _read(file, []):
            data = document.data if isinstance(document.data, dict) else {}
            key = f"{data.get('kind')}/{data.get('id')}"
            if key in loaded.places and data.get("kind") in SINGLE:
                other = document.place(("id",))
                found.append(Problem(loaded.place(key, "id"), "id", f"{key} is defined twice; the other is at {other}"))
    return found


class _Reader:
    """Collects documents of all files, then groups and compares them."""

    def __init__(self, user_key: bytes | None, problems: list[Problem]) -> None:
        self._key = user_key
        self._problems = problems
        self._teams: list[tuple[TeamEntry, Place]] = []
        self._senders: list[SenderEntry] = []
        self._single: list[tuple[ControlRecord, Marked]] = []
        self._kinds: set[str] = set()

    def take(self, document: Marked) -> None:
        """Read one document; what is wrong with it becomes problems."""
        kind = document.data.get("kind") if isinstance(document.data, dict) else None
        if not isinstance(kind, str):
            why = f"every document is a mapping with a kind, one of {', '.join(KINDS)}"
            self._problem(document.place(), "kind", why)
        elif kind in BY_COMMAND:
            self._problem(document.place(("kind",)), "kind", f"{kind} stands in no file: {BY_COMMAND[kind]}")
        elif kind == "directory":
            directory = self._parse(DirectoryDocument, document)
            if directory is not None:
                self._kinds.add(kind)
                self._take_directory(directory, document)
        elif kind == "subtree":
            if Path(document.file).name != SUBTREES:
                why = f"owners of folders stand in the file {SUBTREES} at the top of the tree, where reviewers look"
                self._problem(document.place(("kind",)), "kind", why)
        elif kind in SINGLE:
            record: Any = self._parse(SINGLE[kind], document)
            if record is not None:
                self._kinds.add(kind)
                self._single.append((self._checked(record, document), document))
        else:
            close = difflib.get_close_matches(kind, KINDS, n=1)
            meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(KINDS)}"
            self._problem(document.place(("kind",)), "kind", f"{kind!r} is not known; {meant}")

    def finish(self, trees: Trees) -> Loaded:
        teams, wrong_teams = group_teams(self._teams)
        senders, wrong_senders = group_senders(self._senders)
        self._problems += wrong_teams + wrong_senders
        records: dict[str, ControlRecord] = {}
        places: dict[str, Place] = {}
        documents: dict[str, Marked] = {}
        defined: list[tuple[ControlRecord, Place]] = [*teams, *senders]
        for record, place in defined:
            records[record_key(record)], places[record_key(record)] = record, place
        for single, document in self._single:
            key, place = record_key(single), document.place()
            if key in places:
                other = documents[key].place(("id",))
                self._problem(document.place(("id",)), "id", f"{key} is defined twice; the other is at {other}")
                continue
            records[key], places[key], documents[key] = single, place, document
        definitions = (
            *(Definition(f"team/{entry.id}", "directory", place, entry) for entry, place in self._teams),
            *(Definition(f"sender/{one.sender}/{one.id}", "directory", one.place, one) for one in self._senders),
            *(
                Definition(record_key(record), record.kind, document.place(), record)
                for record, document in self._single
            ),
        )
        return Loaded(records, places, frozenset(self._kinds), definitions, documents, trees)

    def _take_directory(self, directory: DirectoryDocument, document: Marked) -> None:
        self._teams += [(entry, document.place(("teams", index))) for index, entry in enumerate(directory.teams)]
        if directory.members and self._key is None:
            self._problem(document.place(("members",)), "members", _NO_KEY)
        key = self._key or b""
        self._senders += sender_entries(
            directory, lambda name, index: document.place((name, index)), lambda user: hash_user(key, user)
        )

    def _checked(self, record: ControlRecord, document: Marked) -> ControlRecord:
        """The record as it may be published, what one document alone can tell being checked."""
        if isinstance(record, Policy):
            for where, why in policy_faults(record):
                path = tuple(int(step) if step.isdigit() else step for step in where.split("."))
                self._problem(document.place(path), where, why)
        if isinstance(record, Principal) and record.public_key is not None:
            try:
                check_public_key(record.public_key)
            except KeyUnusable as error:
                self._problem(document.place(("public_key",)), "public_key", str(error))
        if isinstance(record, Budget):
            self._check_scope(record.scope, ("scope",), document)
            return self._without_name(record, document)
        if isinstance(record, ExceptionGrant) and record.permits is not None:
            self._check_scope(record.permits.scope, ("permits", "scope"), document)
        if isinstance(record, PlannedActivity):
            for name, why in activity_faults(record):
                self._problem(document.place(tuple(name.split("."))), name, why)
        return record

    def _check_scope(self, scope: Scope, path: tuple[str, ...], document: Marked) -> None:
        for name, why in scope_faults(scope):
            self._problem(document.place((*path, name)), ".".join((*path, name)), why)

    def _without_name(self, budget: Budget, document: Marked) -> Budget:
        """A budget about one person knows them by keyed hash, and names them nowhere else."""
        user = budget.scope.user
        if user is None:
            return budget
        if self._key is None:
            self._problem(document.place(("scope", "user")), "scope.user", _NO_KEY)
            return budget
        for name in ("id", "owner", "contact", "note"):
            text = str(getattr(budget, name) or "")
            if len(user) >= _TELLING and user.casefold() in text.casefold():
                why = "names the person that the budget is about, whom nobody else may see: leave their id out of it"
                self._problem(document.place((name,)), name, why)
        scope = budget.scope.model_copy(update={"user": hash_user(self._key, user)})
        return budget.model_copy(update={"scope": scope})

    def _parse(self, model: type[_Model], document: Marked) -> _Model | None:
        try:
            return model.model_validate(document.data)
        except ValidationError as error:
            for wrong in error.errors():
                where = ".".join(map(str, wrong["loc"]))
                self._problem(document.place(wrong["loc"]), where, explain(model, wrong))
            return None

    def _problem(self, place: Place, where: str, message: str) -> None:
        self._problems.append(Problem(place, where, message))
