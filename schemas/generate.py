"""In: the pydantic models of what people and gateways read or write. Out: their JSON Schemas under `schemas/json/`.

python -m schemas.generate            # write them
python -m schemas.generate --check    # name those that are not current, exit 1 if any
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from schemas.alerts import Alert
from schemas.control.records import ControlRecord
from schemas.rejections import Rejection
from schemas.status import BudgetStatus, GovernanceStatus

FOLDER: Final = Path(__file__).parent / "json"
SUFFIX: Final = ".schema.json"
COMMAND: Final = "python -m schemas.generate"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Document:
    """One model under the name that its schema's file has."""

    name: str
    model: type[BaseModel]

    @property
    def file_name(self) -> str:
        return f"{self.name}{SUFFIX}"

    def text(self) -> str:
        """The schema as sorted, indented JSON: the same model gives the same bytes.

        A field with a default is not required, although we always write it: a document of an older version, which does
        not have it yet, stays valid.
        """
        schema = self.model.model_json_schema(mode="validation", schema_generator=_Dialect)
        return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


class _Dialect(GenerateJsonSchema):
    schema_dialect = DIALECT

    def generate(self, schema: Any, mode: Literal["validation", "serialization"] = "validation") -> JsonSchemaValue:
        return {"$schema": self.schema_dialect, **super().generate(schema, mode)}


def documents() -> tuple[Document, ...]:
    """Every document with a JSON Schema, by name."""
    written = (
        Document("alert", Alert),
        Document("budget_status", BudgetStatus),
        Document("governance_status", GovernanceStatus),
        Document("rejection", Rejection),
    )
    control = (Document(f"control_{kind}", model) for kind, model in _kinds())
    return tuple(sorted((*written, *control), key=lambda document: document.name))


def _kinds() -> Iterator[tuple[str, type[BaseModel]]]:
    for model in get_args(ControlRecord):
        (kind,) = get_args(model.model_fields["kind"].annotation)
        yield kind, model


def outdated(folder: Path = FOLDER) -> Mapping[str, str]:
    """File name -> `missing`, `differs` or `belongs to no model`, for each file that is not what the models say."""
    wanted = {document.file_name: document.text() for document in documents()}
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob(f"*{SUFFIX}")}
    problems = dict.fromkeys(found.keys() - wanted.keys(), "belongs to no model")
    for name, text in wanted.items():
        if name not in found:
            problems[name] = "missing"
        elif found[name] != text:
            problems[name] = "differs"
    return dict(sorted(problems.items()))


def write(folder: Path = FOLDER) -> tuple[str, ...]:
    """Bring `folder` up to date; returns the names of the files that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = outdated(folder)
    texts = {document.file_name: document.text() for document in documents()}
    for name in changed:
        if name in texts:
            (folder / name).write_text(texts[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return tuple(changed)


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["--check"]:
        problems = outdated()
        for name, what in problems.items():
            print(f"schemas/json/{name}: {what}; run `{COMMAND}`", file=sys.stderr)
        return 1 if problems else 0
    if arguments:
        print(f"unknown arguments {' '.join(arguments)}: use `{COMMAND}` or `{COMMAND} --check`", file=sys.stderr)
        return 2
    for name in write():
        print(f"schemas/json/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
