"""Traffic with resends, refused events and conflicts in; what exactly-once readers must find, by plain Python, out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.control.budgets import Budget, Scope
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from schemas.control.records import ControlRecord
from schemas.tallies import home_partition
from schemas.topics import Topics
from tests.support.enrich import Event, Seen, avro_batch, avro_value, event, home_of

RECORDS: tuple[ControlRecord, ...] = (
    *(Team(id=f"team-{n}", terms=(TeamTerm(department=f"dep-{n % 2}"),)) for n in range(5)),
    *(Sender(sender="credential", id=f"key-{n}", terms=(Membership(team=f"team-{n}"),)) for n in range(5)),
    Budget(id="platform", scope=Scope(), limit=Decimal(100), period="month"),
    Budget(id="dep-0", scope=Scope(department="dep-0"), limit=Decimal(10), period="day", time_zone="Asia/Kolkata"),
)

Sent = list[tuple[int, bytes | None, bytes | None]]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages to send, and the events that they hold by partition in order of arrival."""

    messages: Sent
    arrivals: dict[int, list[Event]]


def traffic(topics: Topics, count: int = 600) -> Traffic:
    """Every tenth event comes twice, every 37th is broken, every 50th id is taken by another event; some in batches."""
    events: list[Event] = []
    for n in range(count):
        one = event(
            n,
            source=f"gateway-{n % 2}",
            credential_id=f"key-{n % 6}",
            use_case=f"use-{n % 3}",
            latency_ms=n,
            user_id=f"person-{n % 7}",
        )
        if n % 37 == 5:
            one |= {"input_tokens": -1}
        events.append(one)
        if n % 10 == 3:
            events.append(dict(events[n // 2]))
        if n % 50 == 9:
            events.append(one | {"output_tokens": 999})
    arrivals: dict[int, list[Event]] = {partition: [] for partition in range(topics.event_partitions)}
    for one in events:
        arrivals[home_of(one["event_id"], topics.event_partitions)].append(one)
    messages: Sent = []
    for partition, mine in arrivals.items():
        at = 0
        while at < len(mine):
            size = 3 if at % 5 == 0 else 1
            some = mine[at : at + size]
            value = avro_value(some[0]) if len(some) == 1 else avro_batch(some)
            messages.append((partition, some[0]["event_id"].encode(), value))
            at += size
    return Traffic(messages, arrivals)


def check(seen: Seen, sent: Traffic, topics: Topics) -> None:
    """Assert that every event was counted once: in rows, in the tallies of its homes, in the ledger."""
    accepted: list[Event] = []
    outcome: Counter[str] = Counter()
    by_source: Counter[tuple[str, str | None]] = Counter()
    for mine in sent.arrivals.values():
        taken: dict[tuple[str, str], Event] = {}
        for one in mine:
            known = taken.get((one["source"], one["event_id"]))
            if one["input_tokens"] < 0:
                outcome["rejected"] += 1
                by_source[one["source"], "negative_count"] += 1
            elif known is None:
                taken[one["source"], one["event_id"]] = one
                accepted.append(one)
                by_source[one["source"], None] += 1
            else:
                outcome["duplicates" if known == one else "rejected"] += 1
                by_source[one["source"], None if known == one else "id_conflict"] += 1
    assert Counter(row["event_id"] for row in seen.rows) == Counter(one["event_id"] for one in accepted)
    assert _sum(seen.rows, "input_tokens") == sum(one["input_tokens"] for one in accepted)
    assert len(seen.rejections) == outcome["rejected"]

    ledger = seen.ledger
    assert sum(row.read for row in ledger) == sum(map(len, sent.arrivals.values()))
    assert sum(row.enriched for row in ledger) == len(accepted)
    assert sum(row.duplicates for row in ledger) == outcome["duplicates"]
    assert sum(row.rejected for row in ledger) == outcome["rejected"]
    assert sum(row.cost_nanousd for row in ledger) == _sum(seen.rows, "cost_nanousd")

    by_team = Counter(_team(one) for one in accepted)
    cells = [row for row in seen.tallies if row["budget_id"] is None and row["source"] is None]
    assert _calls(cells, "team_id") == by_team
    assert _sum(cells, "cost_nanousd") == _sum(seen.rows, "cost_nanousd")
    assert _sum(cells, "latency_ms") == sum(one["latency_ms"] for one in accepted)
    assert all(row["home"] == home_partition(f"team/{row['team_id']}", topics.tally_partitions) for row in cells)
    budgets = [row for row in seen.tallies if row["budget_id"] is not None]
    in_dep_0 = sum(count for team, count in by_team.items() if team in ("team-0", "team-2", "team-4"))
    assert _calls(budgets, "budget_id") == Counter({"platform": len(accepted), "dep-0": in_dep_0})
    assert all(row["home"] == home_partition(f"budget/{row['budget_id']}", topics.tally_partitions) for row in budgets)

    told: Counter[tuple[str, str | None]] = Counter()
    for row in seen.tallies:
        if row["source"] is not None:
            told[row["source"], row["rejection_code"]] += row["calls"]
            assert row["home"] == home_partition(f"source/{row['source']}", topics.tally_partitions)
            assert _sum([row], "input_tokens") == 0
    assert told == by_source

    ends = Counter(partition for partition, _, _ in sent.messages)
    assert seen.applied == {
        (home, partition): ends[partition]
        for home in range(topics.tally_partitions)
        for partition in range(topics.event_partitions)
    }


def _team(one: Event) -> str:
    number = one["credential_id"].removeprefix("key-")
    return "unattributed" if number == "5" else f"team-{number}"


def _sum(rows: Sequence[dict[str, Any]], name: str) -> int:
    return sum(row[name] or 0 for row in rows)


def _calls(rows: Sequence[dict[str, Any]], name: str) -> Counter[str]:
    calls: Counter[str] = Counter()
    for row in rows:
        calls[row[name]] += row["calls"]
    return calls
