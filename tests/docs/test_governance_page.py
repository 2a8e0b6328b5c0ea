"""docs/governance.md is followed: every block of it, in order, on the embedded house."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from subprocess import PIPE
from typing import Final

import pytest
from typer.testing import CliRunner

from schemas.status import BudgetStatus
from streamgauge.asking import open_database
from streamgauge.cli import app
from streamgauge.embedded.broker import pick_port
from streamgauge.local.house import House, HousePlan
from streamgauge.tail import read_topic
from tests.docs.pages import ROOT, page
from tests.support.house import wait_for

pytestmark = pytest.mark.slow

BLOCKS: Final = page("docs/governance.md").blocks("bash")
CALLS: Final = 210


class Reader:
    """Somebody who types what the page says, beside a running `streamgauge up`, in the folder where that runs."""

    def __init__(self, folder: Path, house: House) -> None:
        self._folder = folder
        self._house = house

    def type(self, block: str) -> str:
        """What a block's commands print: ours run in this process, all others in a shell."""
        said = ""
        for ours, lines in groupby(block.splitlines(), key=lambda line: line.startswith("streamgauge ")):
            if not ours:
                script = "\n".join(["set -euo pipefail", *lines])
                said += subprocess.run(
                    ["bash", "-c", script], cwd=self._folder, check=True, stdout=PIPE, text=True
                ).stdout
                continue
            for line in lines:
                result = CliRunner().invoke(app, shlex.split(line)[1:])
                assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
                said += result.stdout
        return said

    def rows(self) -> int:
        with open_database(self._house.reader) as database:
            return int(database.query("SELECT count() FROM usage_events")[0][0])

    def budget(self, name: str) -> BudgetStatus | None:
        """Its newest status."""
        records = read_topic(self._house.connection, self._house.topics.status)
        found = [one.value for one in records if one.value and one.key and one.key.startswith(f"{name}|".encode())]
        return BudgetStatus.model_validate_json(found[-1]) if found else None

    def waits(self, what: str, condition: Callable[[BudgetStatus], bool]) -> None:
        """Until the status of search's budget is so."""
        wait_for(lambda: (one := self.budget("search-monthly")) is not None and condition(one), 60, what)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    if shutil.which("bash") is None or shutil.which("ssh-keygen") is None:
        pytest.skip("the page is typed into bash, and keys are made by ssh-keygen: one of them is not here")
    for name in list(os.environ):
        if name.startswith("STREAMGAUGE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with House(HousePlan(tmp_path / ".streamgauge", kafka_port=pick_port(), http_port=pick_port())) as house:
        yield Reader(tmp_path, house)


def test_the_page_can_be_followed(reader: Reader) -> None:
    said: dict[str, str] = {}
    for number, block in enumerate(BLOCKS):
        said[block] = reader.type(block)
        if "replay" in block:
            wait_for(lambda: reader.rows() == CALLS, 60, "the usage in ClickHouse")
        if "apply governance/budgets.yaml" in block:
            mode = ("observe", "warn", "enforce")[sum("apply governance/budgets" in one for one in BLOCKS[:number])]
            reader.waits(
                f"the budget of search to be soft in mode {mode}",
                lambda one, mode=mode: (one.mode, one.state) == (mode, "soft"),  # type: ignore[misc]
            )
        if "budgets ack" in block:
            reader.waits("the manager's word", lambda one: one.acknowledged is not None)
        if "exceptions approve" in block:
            reader.waits("the limit to be raised", lambda one: one.limit == 850_000_000_000)

    everything = "".join(said.values())
    assert "forbidden" in everything, "a policy's verdict is on the rows"
    assert "discouraged" in everything
    search, laboratory = reader.budget("search-monthly"), reader.budget("exploratory-monthly")
    assert search is not None
    assert laboratory is not None
    assert (search.used, search.extra, search.state) == (552_000_000_000, 350_000_000_000, "ok")
    assert laboratory.used == 12_000_000_000
    assert "approved by rule/small-with-ticket" in everything
    asked = [
        line for line in everything.splitlines() if line.startswith("needs acknowledgement: Budget search-monthly")
    ]
    assert len(asked) == 1, "before the manager's word, and not once the limit is raised"
    assert "search-launch: +$300 on search-monthly until" in everything
    assert max(len(line) for line in reader.type("streamgauge budgets").splitlines()) <= 100
