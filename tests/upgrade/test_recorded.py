"""What earlier versions left on topics and in tables is read by this one, also between messages of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.positions import VERSION_HEADER, read_range, read_version
from sinks.events.ranges import Assembler, RangeBlock
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Shard
from streams.agents.tally_message import read_tally
from tests.upgrade.readers import READERS
from tests.upgrade.recorded import (
    RECORDED,
    Message,
    messages_of,
    plain,
    read_as_of,
    tables_of,
    topics_of,
    versions,
)

ROOT = Path(__file__).resolve().parents[2]
CASES = [(version, topic) for version in versions() for topic in topics_of(version)]
WAY_OUT = "recorded bytes are never edited: teach the reader both forms, or say in CHANGELOG.md what has to be drained"


def older_and_newer() -> list[tuple[str, str]]:
    """Every pair of versions of which the first is before the second."""
    known = versions()
    return [(old, new) for place, old in enumerate(known) for new in known[place + 1 :]]


@pytest.mark.parametrize(("version", "topic"), CASES, ids=str)
def test_recorded_messages_read_as_they_did(version: str, topic: str) -> None:
    read = plain(READERS[topic](messages_of(version, topic)))
    assert read == read_as_of(version, topic), WAY_OUT


@pytest.mark.parametrize("version", versions())
def test_every_topic_was_recorded(version: str) -> None:
    """But for those that the version did not have yet."""
    later = {"v1": {"usage.adjustments"}}.get(version, set())
    assert set(topics_of(version)) == set(READERS) - later
    assert all(messages_of(version, topic) for topic in topics_of(version))


@pytest.mark.parametrize(("older", "newer"), older_and_newer())
def test_the_sink_takes_messages_of_both_versions_in_turns(older: str, newer: str) -> None:
    """Two workers of enrich write to one partition, one after the other, while the installation is upgraded."""
    assembler, place, blocks = Assembler(), 0, list[RangeBlock]()
    for version in (older, newer, older, newer):
        messages = messages_of(version, "usage.enriched")
        moved = [one.moved(0, place) for one in messages]
        place = max(read_range(one.headers).next for one in moved)
        found = [assembler.feed(offset, one.headers, one.value) for offset, one in enumerate(moved)]
        blocks += [block for block in found if block is not None]
    assert len(blocks) == 4
    assert blocks[0].table().schema == blocks[1].table().schema
    assert [block.source.first for block in blocks] == sorted({block.source.first for block in blocks})


@pytest.mark.parametrize(("older", "newer"), older_and_newer())
def test_the_agents_take_messages_of_both_versions_in_turns(older: str, newer: str) -> None:
    """An older worker owns input partition 0, a newer one partition 1; both send to one tally partition."""
    shard = Shard(0, Counts(2, 1), AgentsConfig())
    turns = [
        one.moved(partition, read_range(one.headers).first)
        for pair in zip(messages_of(older, "usage.tallies"), messages_of(newer, "usage.tallies"), strict=True)
        for partition, one in enumerate(pair)
    ]
    answers = [shard.offer(read_tally(offset, one.headers, one.value)) for offset, one in enumerate(turns)]
    assert set(answers) == {"applied"}
    assert set(shard.chain.applied) == {0, 1}


@pytest.mark.parametrize("version", versions())
def test_a_message_of_a_version_to_come_is_refused_by_name(version: str) -> None:
    [first, *_] = messages_of(version, "usage.tallies")
    headers = [(name, b"99" if name == VERSION_HEADER else value) for name, value in first.headers]
    with pytest.raises(ValueError, match="payload version 99 is newer than"):
        read_version(Message(None, headers, None).headers)


def test_tables_keep_the_columns_of_earlier_versions() -> None:
    """Roles of version N go on writing and asking while those of N+1 have migrated already."""
    # A process of its own: one process has one embedded engine.
    command = [sys.executable, "-m", "tests.upgrade.record", "--tables"]
    now = json.loads(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout)
    for version in versions():
        for table, columns in tables_of(version).items():
            for name, kind in columns.items():
                assert now.get(table, {}).get(name) == kind, f"{version}: column {name} of {table}"


def test_versions_are_recorded() -> None:
    assert (RECORDED / "v4").is_dir(), "run `python -m tests.upgrade.record 4`"
