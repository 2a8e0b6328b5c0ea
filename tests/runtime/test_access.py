"""Access rights follow the topics' readers and writers, and nothing more."""

from __future__ import annotations

import pytest

from runtime.access import ROLES, Right, rights
from schemas.topics import SPECS, Role, Topics


def granted(role: Role, topics: Topics) -> dict[str, set[str]]:
    return {
        right.name: set(right.operations)
        for right in rights(topics)
        if right.role == role and right.resource == "topic"
    }


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
def test_a_role_reads_and_writes_what_its_topics_say(role: Role) -> None:
    topics = Topics("acme.")
    have = granted(role, topics)
    for spec in SPECS:
        operations = have.get(f"acme.{spec.name}", set())
        assert ("Read" in operations) == (role in spec.readers)
        assert ("Write" in operations) == (role in spec.writers)
        assert not operations & {"Create", "Delete", "Alter", "All"}


def test_a_producer_can_do_nothing_but_write() -> None:
    assert granted("producer", Topics()) == {
        "usage.events": {"Write", "Describe"},
        "usage.outcomes": {"Write", "Describe"},
    }


def test_groups_and_transactions_carry_the_prefix() -> None:
    named = {(right.role, right.resource, right.name) for right in rights(Topics("acme."))}
    assert ("enrich", "group", "acme.streamgauge.enrich") in named
    assert ("agents", "transactional-id", "acme.streamgauge.agents.") in named
    assert ("admin", "transactional-id", "acme.streamgauge.apply") in named


def test_a_right_is_a_command_to_paste() -> None:
    right = Right("sink", "group", "streamgauge.sink", ("Read",), prefixed=True)
    assert right.command("k:9092", "User:sink") == (
        "kafka-acls.sh --bootstrap-server k:9092 --add --allow-principal User:sink "
        "--operation Read --group streamgauge.sink --resource-pattern-type prefixed"
    )
