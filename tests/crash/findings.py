"""In: what came out of the house, and the oracle. Out: every difference between the two, by kind."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tests.crash.company import DAY_US, DEPARTMENTS, RULES, UNATTRIBUTED
from tests.crash.oracle import Expected, Oracle, Position, Sums, Told
from tests.crash.subscriber import Heard, Subscriber
from tests.support.house import TestHouse

TEAMS: Final = (*DEPARTMENTS, UNATTRIBUTED)
#: Days of hours and of days that agents keep for certain.
_KEPT_DAYS: Final = {"hour": 6, "day": 50, "month": 10_000}


@dataclass(slots=True)
class Findings:
    """Each entry names what differs, and how."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.missing or self.repeated)

    def text(self, most: int = 40) -> str:
        """Every kind with its first entries."""
        lines = []
        for name in ("lost", "doubled", "wrong", "missing", "repeated"):
            entries: list[str] = getattr(self, name)
            if entries:
                lines.append(f"{name}: {len(entries)}")
                lines += [f"  {entry}" for entry in entries[:most]]
        return "\n".join(lines) or "none"


def compare(
    house: TestHouse, oracle: Oracle, subscriber: Subscriber, web_ports: Iterable[int], label: str | None
) -> Findings:
    """All of it now. Rows are compared one by one for the ids of `label`, or for all; sums always over everything."""
    found = Findings()
    _rows(house, oracle, label, found)
    _sums(house, oracle, found)
    _refusals(house, oracle, found)
    _outcomes(house, oracle, found)
    _budgets(house, oracle, subscriber, found)
    _windows(oracle, list(web_ports), found)
    _alerts(oracle, subscriber, house.topics.event_partitions, found)
    _alert_rows(house, subscriber, found)
    return found


def _rows(house: TestHouse, oracle: Oracle, label: str | None, found: Findings) -> None:
    prefix = "" if label is None else f"{label}-"
    expected = set(oracle.accepted) if label is None else oracle.rows[label]
    asked = f"SELECT source, event_id FROM usage_events WHERE startsWith(event_id, '{prefix}')"  # noqa: S608
    seen = Counter((source, event_id) for source, event_id in house.query(asked))
    found.lost += [f"event {source} {event_id}" for source, event_id in sorted(expected - seen.keys())]
    found.doubled += [f"event {name} has {times} rows" for name, times in seen.items() if times > 1]
    found.wrong += [f"event {name} should not be there" for name in sorted(seen.keys() - expected)]
    stored, distinct = house.query("SELECT count(), uniqExact(source, event_id) FROM usage_events_raw")[0]
    if stored != distinct:
        found.doubled.append(f"usage_events_raw holds {stored} rows of {distinct} events")


def _sums(house: TestHouse, oracle: Oracle, found: Findings) -> None:
    asked = (
        "SELECT coalesce(team_id, ''), toUnixTimestamp(toStartOfMinute(occurred_at)), count(), sum(input_tokens), "
        "sum(output_tokens), coalesce(sum(cost_nanousd), 0), sum(provisional_nanousd) FROM usage_events GROUP BY 1, 2"
    )
    seen = {(team, minute * 1_000_000): Sums(*map(int, sums)) for team, minute, *sums in house.query(asked)}
    found.wrong += _differences("team and minute", oracle.minutes, seen)
    ledger = house.query("SELECT sum(read), sum(enriched), sum(duplicates), sum(rejected) FROM usage_ledger FINAL")[0]
    refused = sum(1 for position in oracle.refused if position.topic == "events")
    expected = (oracle.read, len(oracle.accepted), oracle.duplicates, refused)
    if tuple(ledger) != expected:
        found.wrong.append(f"ledger (read, enriched, duplicates, rejected): {tuple(ledger)}, expected {expected}")


def _refusals(house: TestHouse, oracle: Oracle, found: Findings) -> None:
    names = {house.topics.events: "events", house.topics.outcomes: "outcomes"}
    seen = {
        Position(names.get(topic, topic), partition, offset, index): code
        for topic, partition, offset, index, code in house.query(
            'SELECT topic, partition, "offset", "index", code FROM usage_rejected FINAL'
        )
    }
    found.lost += [f"refusal {position}" for position in sorted(oracle.refused.keys() - seen.keys())]
    for position, code in seen.items():
        expected = oracle.refused.get(position, "nothing")
        if expected is not None and code != expected:
            found.wrong.append(f"refusal {position}: {code}, expected {expected}")


def _outcomes(house: TestHouse, oracle: Oracle, found: Findings) -> None:
    seen = Counter(map(tuple, house.query("SELECT source, outcome_id FROM usage_outcomes FINAL")))
    found.lost += [f"outcome {name}" for name in sorted(oracle.outcomes - seen.keys())]
    found.doubled += [f"outcome {name}" for name, times in seen.items() if times > 1]
    found.wrong += [f"outcome {name} should not be there" for name in seen.keys() - oracle.outcomes]


def _budgets(house: TestHouse, oracle: Oracle, subscriber: Subscriber, found: Findings) -> None:
    """What gateways read, and what stands in ClickHouse of it."""
    rows = house.query(
        "SELECT budget_id, toUnixTimestamp(period_start), used FROM governance_status FINAL WHERE state != 'retired'"
    )
    stored = {(budget, start * 1_000_000): int(used) for budget, start, used in rows}
    for where, seen in (("status", subscriber.used), ("governance_status", stored)):
        for place, used in seen.items():
            if used != oracle.used[place]:
                found.wrong.append(f"{where} {place}: {used}, expected {oracle.used[place]}")
        for rule in RULES:
            place = (rule.id, oracle.current(rule, house.topics.event_partitions))
            if place not in seen:
                found.wrong.append(f"{where} {place}: not there, expected {oracle.used[place]}")


def _windows(oracle: Oracle, ports: list[int], found: Findings) -> None:
    """What agents hold of every team by hour, day and month."""
    newest = max(start for _, start in oracle.hours)
    for resolution, kept_days in _KEPT_DAYS.items():
        expected = oracle.windows(resolution)
        seen = {}
        for team in TEAMS:
            held = _totals(ports, team)
            if held is None:
                found.wrong.append(f"totals of {team}: no worker holds them")
            seen.update({place: sums for (kind, place), sums in (held or {}).items() if kind == resolution})
        wanted = {
            place: sums for place, sums in expected.items() if place in seen or place[1] > newest - kept_days * DAY_US
        }
        found.wrong += _differences(f"totals by {resolution}", wanted, seen)


def _totals(ports: list[int], team: str) -> dict[tuple[str, tuple[str, int]], Sums] | None:
    for port in ports:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/totals/{team}", timeout=5) as answer:
                windows: list[dict[str, Any]] = json.load(answer)["windows"]
        except (urllib.error.URLError, OSError, ValueError):
            continue
        return {
            (one["resolution"], (team, _start(one["start"]))): Sums(
                one["calls"],
                one["input_tokens"],
                one["output_tokens"],
                one["cost_nanousd"],
                one["provisional_nanousd"],
            )
            for one in windows
        }
    return None


def _start(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def _alerts(oracle: Oracle, subscriber: Subscriber, partitions: int, found: Findings) -> None:
    """Every crossing fires once and is resolved once when its period is over; of whatever kind, no message comes twice.

    Kinds other than budget are raised by rates and silences, which depend on the clock: of these only repeats and gaps
    are judged.
    """
    found.repeated += [f"alert {name} came {times} times" for name, times in subscriber.times.items() if times > 1]
    by_id: defaultdict[str, list[Heard]] = defaultdict(list)
    for heard in subscriber.heard:
        by_id[heard.alert_id].append(heard)
    for alert_id, messages in by_id.items():
        revisions = sorted({one.revision for one in messages})
        if revisions != list(range(len(revisions))) or messages[0].state != "firing":
            found.missing.append(f"alert {alert_id}: revisions {[(one.revision, one.state) for one in messages]}")
    states: defaultdict[Told, Counter[str]] = defaultdict(Counter)
    for heard in subscriber.heard:
        if heard.told is not None:
            states[heard.told][heard.state] += 1
    expected = oracle.alerts(partitions)
    found.missing += [f"{told}: never fired" for told in sorted(expected.keys() - states.keys())]
    found.wrong += [f"{told}: fired, but was not reached" for told in sorted(states.keys() - expected.keys())]
    for told in sorted(states.keys() & expected.keys()):
        _times(told, states[told], expected[told], found)


def _times(told: Told, seen: Counter[str], expected: Expected, found: Findings) -> None:
    for state, times in (("firing", 1), ("resolved", int(expected.resolved))):
        if seen[state] != times:
            kind = found.missing if seen[state] < times else found.repeated
            kind.append(f"{told}: {state} {seen[state]} times, expected {times}")
    if seen["updated"] > 1:
        found.repeated.append(f"{told}: updated {seen['updated']} times, at most once")


def _alert_rows(house: TestHouse, subscriber: Subscriber, found: Findings) -> None:
    """What the sink has written of the alerts is what the subscriber has seen."""
    seen = Counter(map(tuple, house.query("SELECT alert_id, revision FROM governance_alerts FINAL")))
    found.lost += [f"row of alert {name}" for name in sorted(subscriber.times.keys() - seen.keys())]
    found.wrong += [
        f"row of alert {name} that nobody has seen" for name in sorted(seen.keys() - subscriber.times.keys())
    ]


def _differences(what: str, expected: Mapping[Any, Sums], seen: Mapping[Any, Sums]) -> list[str]:
    return [
        f"{what} {place}: {tuple(seen.get(place, Sums()))}, expected {tuple(expected.get(place, Sums()))}"
        for place in sorted(expected.keys() | seen.keys())
        if seen.get(place, Sums()) != expected.get(place, Sums())
    ]
