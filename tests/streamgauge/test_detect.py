"""`streamgauge detect` as a person types it."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamgauge.cli import app

START = datetime(2026, 9, 7, tzinfo=UTC)


def rows(count: int = 400, spike: int | None = 350) -> list[tuple[datetime, float]]:
    noise = random.Random(1)
    values = [round(50 + noise.gauss(0, 2), 3) for _ in range(count)]
    if spike is not None:
        values[spike] = 90.0
    return [(START + timedelta(minutes=5 * row), value) for row, value in enumerate(values)]


def text(lines: list[tuple[datetime, float]], style: str = "%Y-%m-%d %H:%M:%S") -> str:
    return "timestamp,value\n" + "".join(f"{at.strftime(style)},{value}\n" for at, value in lines)


def told(output: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(output)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "series.csv"


def test_every_row_is_told_with_its_score(run: CliRunner, file: Path) -> None:
    file.write_text(text(rows()), encoding="utf-8")
    result = run.invoke(app, ["detect", "--csv", str(file)])
    assert (result.exit_code, result.stderr) == (0, "")
    scored = told(result.stdout)
    assert list(scored[0]) == ["timestamp", "value", "score"]
    assert [(one["timestamp"], one["value"]) for one in scored] == [
        (at.strftime("%Y-%m-%d %H:%M:%S"), str(value)) for at, value in rows()
    ]
    assert max(range(400), key=lambda row: float(scored[row]["score"])) == 350
    assert {one["score"] for one in scored[:288]} == {"0.0000"}


def test_a_threshold_adds_whether_it_is_reached(run: CliRunner, file: Path) -> None:
    file.write_text(text(rows()), encoding="utf-8")
    plain = told(run.invoke(app, ["detect", "--csv", str(file), "--threshold", "6"]).stdout)
    assert [row for row, one in enumerate(plain) if one["anomaly"] == "1"] == [350]
    lines = run.invoke(app, ["detect", "--csv", str(file), "--threshold", "6", "--json"]).stdout.splitlines()
    objects = [json.loads(line) for line in lines]
    assert [row for row, one in enumerate(objects) if one["anomaly"]] == [350]
    assert objects[350]["value"] == 90.0
    assert objects[350]["score"] == float(plain[350]["score"])
    assert run.invoke(app, ["detect", "--csv", str(file), "--threshold", "0"]).exit_code == 2


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000])
def test_numbers_are_told_apart_by_size(run: CliRunner, file: Path, factor: int) -> None:
    file.write_text(text(rows()), encoding="utf-8")
    expected = [one["score"] for one in told(run.invoke(app, ["detect", "--csv", str(file)]).stdout)]
    numbers = [f"{round(at.timestamp() * factor)},{value}" for at, value in rows()]
    file.write_text("\n".join(["timestamp,value", *numbers]), encoding="utf-8")
    assert [one["score"] for one in told(run.invoke(app, ["detect", "--csv", str(file)]).stdout)] == expected


def test_other_columns_zones_order_and_standard_input(run: CliRunner) -> None:
    plain = {
        one["timestamp"]: one["score"]
        for one in told(run.invoke(app, ["detect", "--csv", "-"], input=text(rows())).stdout)
    }
    shuffled = rows()
    random.Random(2).shuffle(shuffled)
    other = "\ufeffhost, Value ,Timestamp\n" + "".join(
        f'"a,b",{value},{(at + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S+02:00")}\n\n' for at, value in shuffled
    )
    result = run.invoke(app, ["detect", "--csv", "-"], input=other)
    assert result.exit_code == 0
    assert result.stderr == "streamgauge: rows are not in order of time; they were judged in order of time.\n"
    scored = told(result.stdout)
    assert [float(one["value"]) for one in scored] == [value for _, value in shuffled], "in the file's order"
    for (at, _), one in zip(shuffled, scored, strict=True):
        assert one["score"] == plain[at.strftime("%Y-%m-%d %H:%M:%S")]


def test_rows_without_value_have_none(run: CliRunner) -> None:
    lines = text(rows()).splitlines()
    for row, word in enumerate(("", "NaN", "null", "-nan"), start=300):
        lines[row + 1] = lines[row + 1].split(",")[0] + "," + word
    result = run.invoke(app, ["detect", "--csv", "-", "--json"], input="\n".join(lines))
    assert result.exit_code == 0
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["value"], one["score"]) for one in objects[300:304]] == [(None, 0.0)] * 4
    assert objects[350]["score"] > 6


@pytest.mark.parametrize("count", [1, 2, 7, 288])
def test_a_short_series_says_so(run: CliRunner, count: int) -> None:
    result = run.invoke(app, ["detect", "--csv", "-"], input=text(rows(count, None)))
    assert result.exit_code == 0
    assert {one["score"] for one in told(result.stdout)} == {"0.0000"}
    assert f"{count} rows with a value are too few, so all scores are 0; the first" in result.stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty; it needs a header"),
        ("timestamp,value\n", "has no rows below its header"),
        ("2026-09-07 00:00:00,5\n", ":1: the header must have one column timestamp and one column value"),
        ("timestamp,value,value\n", ":1: the header must have"),
        ("timestamp,value\n2026-09-07,1\n\nyesterday,2\n", ":4: timestamp 'yesterday' is none; write 2026-11-22T"),
        ("timestamp,value\n1e18,2\n", ":2: timestamp '1e18' counts neither s, ms nor µs since 1970"),
        ("timestamp,value\n1,much\n", ":2: value 'much' is no number; leave it empty"),
        ("timestamp,value\n1,inf\n", ":2: value 'inf' is too large"),
        ("timestamp,value\n1,2,5\n", ":2: 3 fields under a header of 2; a decimal comma must be a point"),
        ('timestamp,value\n1,"2\n', ":2: no CSV: unexpected end of data"),
        ("timestamp,value\n1000,1\n1000.2,2\n1000.4,3\n", "rows are 0.2 seconds apart; from 1 second"),
    ],
)
def test_what_is_no_series_is_refused_with_its_line(run: CliRunner, file: Path, content: str, sentence: str) -> None:
    file.write_text(content, encoding="utf-8")
    result = run.invoke(app, ["detect", "--csv", str(file)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert sentence in result.stderr
    assert result.stderr.startswith("streamgauge: ")
    assert result.stderr.count("\n") == 1


def test_files_that_cannot_be_read(run: CliRunner, tmp_path: Path, file: Path) -> None:
    assert "No such file" in run.invoke(app, ["detect", "--csv", str(file)]).stderr
    assert "is a folder" in run.invoke(app, ["detect", "--csv", str(tmp_path)]).stderr
    file.write_bytes(b"timestamp,value\n1,\xff\n")
    assert "is not UTF-8 (byte 18)" in run.invoke(app, ["detect", "--csv", str(file)]).stderr
