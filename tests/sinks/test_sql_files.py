"""A line of a query may stand for another file; what is sent has none left."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

import sinks
from sinks.database import read_sql

ROOM = Path(str(resources.files(sinks)))
FILES = sorted(str(path.relative_to(ROOM)) for path in ROOM.rglob("*.sql"))


@pytest.mark.parametrize("name", FILES)
def test_every_include_is_there(name: str) -> None:
    assert "-- include" not in read_sql(*name.split("/"))


def test_an_included_file_takes_the_place_and_indentation_of_its_line() -> None:
    lines = read_sql("investigation", "movers.sql").splitlines()
    wanted = (ROOM / "selectors/cell.sql").read_text(encoding="utf-8").splitlines()
    assert [f"        {line}" for line in wanted if not line.startswith("--")] == [
        line for line in lines if "{departments" in line or "{teams" in line or "{projects" in line
        or "{use_cases" in line or "{stages" in line or "{model_classes" in line
    ]  # fmt: skip
