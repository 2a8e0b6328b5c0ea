"""docs/governance.md is followed: every block of it, in order, on the embedded house."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from streamgauge.embedded.broker import pick_port
from streamgauge.local.house import House, HousePlan
from tests.docs.pages import ROOT, page
from tests.support.house import wait_for

BLOCKS: Final = page("docs/governance.md").blocks("bash")
CALLS: Final = 210


class Reader:
    """Somebody who types what the page says, beside a running `streamgauge up`."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    def type(self, block: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def rows(self) -> int:
        return int(self.type("streamgauge query --csv 'SELECT count() FROM usage_events'").split()[-1])

    def budget(self, name: str) -> dict[str, object]:
        """What `streamgauge budgets` has of one; empty while there is nothing."""
        told = json.loads(self.type("streamgauge budgets --json"))
        return next((one for one in told if one["budget_id"] == name), {})


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    if shutil.which("bash") is None or shutil.which("ssh-keygen") is None:
        pytest.skip("the page is typed into bash, and keys are made by ssh-keygen: one of them is not here")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "streamgauge").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m streamgauge "$@"\n')
    (tools / "streamgauge").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGAUGE_")} | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "COLUMNS": "100",
    }
    plan = HousePlan(tmp_path / ".streamgauge", kafka_port=pick_port(), http_port=pick_port())
    with House(plan):
        yield Reader(tmp_path, environment)


def test_the_page_can_be_followed(reader: Reader) -> None:
    said: dict[str, str] = {}
    for number, block in enumerate(BLOCKS):
        said[block] = reader.type(block)
        if "replay" in block:
            wait_for(lambda: reader.rows() == CALLS, 60, "the usage in ClickHouse")
        if "apply governance/budgets.yaml" in block:
            mode = ("observe", "warn", "enforce")[sum("apply governance/budgets" in one for one in BLOCKS[:number])]
            wait_for(
                lambda mode=mode: (
                    reader.budget("search-monthly").get("mode") == mode  # type: ignore[misc]
                    and reader.budget("search-monthly").get("state") == "soft"
                ),
                60,
                f"the budget of search to be soft in mode {mode}",
            )
        if "budgets ack" in block:
            wait_for(lambda: bool(reader.budget("search-monthly").get("acknowledged")), 60, "the manager's word")
        if "exceptions approve" in block:
            wait_for(
                lambda: reader.budget("search-monthly").get("limit") == 850_000_000_000, 60, "the limit to be raised"
            )

    everything = "".join(said.values())
    assert "forbidden" in everything, "a policy's verdict is on the rows"
    assert "discouraged" in everything
    search = reader.budget("search-monthly")
    assert (search["used"], search["extra"], search["state"]) == (558_000_000_000, 350_000_000_000, "ok")
    assert reader.budget("exploratory-monthly")["used"] == 18_000_000_000
    assert "approved by rule/small-with-ticket" in everything
    assert "search-launch: +$300 on search-monthly until" in everything
    assert max(len(line) for line in reader.type("streamgauge budgets").splitlines()) <= 100
