"""JSON Schemas: they are current, they are schemas, and what we write and accept agrees with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas import generate
from schemas.control.records import dump_record
from tests.schemas.control.sentences import accepted
from tests.schemas.control.test_records import SAMPLES
from tests.schemas.samples import ALERT, GOVERNED, REJECTION, STATUS


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((generate.FOLDER / f"{name}{generate.SUFFIX}").read_text(encoding="utf-8")))


def test_they_are_current() -> None:
    assert not generate.outdated(), (
        f"schemas/json/ is not what the models say: run `{generate.COMMAND}` and commit the result"
    )


@pytest.mark.parametrize("document", generate.documents(), ids=lambda document: document.name)
def test_they_are_schemas_of_the_dialect(document: generate.Document) -> None:
    schema = json.loads(document.text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("alert", ALERT.model_dump_json()),
        ("budget_status", STATUS.model_dump_json()),
        ("governance_status", GOVERNED.model_dump_json()),
        ("rejection", REJECTION.model_dump_json()),
    ],
)
def test_what_we_write_is_valid(name: str, text: str) -> None:
    validator(name).validate(json.loads(text))


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))
def test_control_documents_are_valid_as_typed_and_as_published(sample: dict[str, Any]) -> None:
    schema = validator(f"control_{sample['kind']}")
    schema.validate(sample)
    schema.validate(json.loads(dump_record(accepted(sample))))
    assert not schema.is_valid({**sample, "typo": 1}), "an editor should mark an unknown field"


@pytest.mark.parametrize("name", ["alert", "budget_status"])
def test_a_reader_goes_on_when_a_later_version_adds_a_field(name: str) -> None:
    sample = ALERT if name == "alert" else STATUS
    later = {**json.loads(sample.model_dump_json()), "new_field": 1}
    validator(name).validate(later)
    assert type(sample).model_validate(later) == sample


def test_write_brings_a_folder_up_to_date(tmp_path: Path) -> None:
    assert set(generate.outdated(tmp_path).values()) == {"missing"}
    assert set(generate.write(tmp_path)) == {document.file_name for document in generate.documents()}
    assert generate.write(tmp_path) == ()

    alert, foreign = tmp_path / "alert.schema.json", tmp_path / "gone.schema.json"
    alert.write_text(alert.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    foreign.write_text("{}", encoding="utf-8")
    assert generate.outdated(tmp_path) == {"alert.schema.json": "differs", "gone.schema.json": "belongs to no model"}
    generate.write(tmp_path)
    assert generate.outdated(tmp_path) == {}


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0
    assert generate.main(["--chek"]) == 2
    assert "unknown arguments --chek" in capsys.readouterr().err
