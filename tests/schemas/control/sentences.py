"""In: a control document. Out: what its author is told: (place, sentence) of each thing wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.control.records import ControlRecord, parse_record


def accepted(document: dict[str, Any]) -> ControlRecord:
    return parse_record(json.dumps(document))


def refusals(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Place as `limit` or `terms.0.valid_from`, without the kind in front; the sentence without pydantic's prefix."""
    with pytest.raises(ValidationError) as refused:
        parse_record(json.dumps(document))
    return [
        (".".join(str(part) for part in error["loc"][1:]), error["msg"].removeprefix("Value error, "))
        for error in refused.value.errors()
    ]
