"""What tests of single commands stand on: a runner, and settings of a broker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.topics import Topics


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    """A runner in an empty folder, without settings of whoever runs the tests, as wide as a terminal of 100 columns."""
    for name in list(os.environ):
        if name.startswith("STREAMGAUGE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return CliRunner()


@pytest.fixture
def topics(run: CliRunner, bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Topics:
    """Settings of a broker, and topics on it that are not there yet."""
    del run
    monkeypatch.setenv("STREAMGAUGE_KAFKA__BOOTSTRAP", bootstrap)
    monkeypatch.setenv("STREAMGAUGE_TOPICS__PREFIX", f"{topic_prefix}.")
    monkeypatch.setenv("STREAMGAUGE_TOPICS__EVENT_PARTITIONS", "2")
    monkeypatch.setenv("STREAMGAUGE_TOPICS__TALLY_PARTITIONS", "2")
    monkeypatch.setenv("STREAMGAUGE_TOPICS__REPLICATION", "1")
    monkeypatch.setenv("STREAMGAUGE_ENRICH__USER_KEY", "a-key-of-16-chars-or-more")
    return Topics(f"{topic_prefix}.", 2, 2)
