"""In: the generated input, message by message. Out: what must have come of it: rows, sums, budgets, alerts, refusals.

A plain fold over dictionaries. It shares no code with the pipeline: attribution, prices, periods and levels are
computed here once more, from the figures in `company`, in whole numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from tests.crash.company import (
    CREDENTIALS,
    DAY_US,
    DEPARTMENTS,
    LEVELS,
    PRICES,
    PROVISIONAL,
    RULES,
    UNATTRIBUTED,
    Rule,
)

Event = dict[str, Any]
Identity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Garbage:
    """A message that no decoder can read; `code` None: refused, with whatever code."""

    code: str | None


class Sums(NamedTuple):
    """Calls, tokens, nano-USD, and nano-USD held against unpriced calls."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    held: int = 0

    def plus(self, other: Sums) -> Sums:
        return Sums(*(mine + its for mine, its in zip(self, other, strict=True)))


class Position(NamedTuple):
    """Where a refused event stands."""

    topic: str
    partition: int
    offset: int
    number: int


class Told(NamedTuple):
    """One level of one budget in one period; `start_us` is the period's start."""

    budget: str
    start_us: int
    level: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What subscribers must have been told of a crossing, beside that it fired."""

    resolved: bool


class Oracle:
    """Folds messages in the order of their partitions."""

    def __init__(self) -> None:
        self.read = self.duplicates = 0
        self.accepted: dict[Identity, Event] = {}
        #: Ids by group of faults: the part of the id before the first dash.
        self.rows: defaultdict[str, set[Identity]] = defaultdict(set)
        self.minutes: defaultdict[tuple[str, int], Sums] = defaultdict(Sums)
        self.hours: defaultdict[tuple[str, int], Sums] = defaultdict(Sums)
        self.used: Counter[tuple[str, int]] = Counter()
        self.refused: dict[Position, str | None] = {}
        self.outcomes: set[Identity] = set()
        #: The greatest event time that every partition has reached.
        self._newest: dict[int, int] = {}

    def take(self, partition: int, offset: int, content: Sequence[Event] | Garbage) -> None:
        """One message on `usage.events`."""
        if isinstance(content, Garbage):
            self.read += 1
            self.refused[Position("events", partition, offset, 0)] = content.code
            return
        for index, event in enumerate(content):
            self.read += 1
            code = self._judge(event)
            if code == "duplicate":
                self.duplicates += 1
            elif code is not None:
                self.refused[Position("events", partition, offset, index)] = code
            else:
                self._accept(event)
                self._newest[partition] = max(self._newest.get(partition, 0), event["occurred_at"])

    def take_outcome(self, partition: int, offset: int, outcome: Event) -> None:
        """One message on `usage.outcomes`."""
        if outcome["cycle_time_s"] < 0:
            self.refused[Position("outcomes", partition, offset, 0)] = "bad_value"
        else:
            self.outcomes.add((outcome["source"], outcome["outcome_id"]))

    def passed_us(self, partitions: int) -> int:
        """Event time that has certainly gone by in every partition: its newest event less a day's tenth of lateness."""
        return min(self._newest.get(partition, 0) for partition in range(partitions)) - DAY_US // 10

    def alerts(self, partitions: int) -> dict[Told, Expected]:
        """Every level that the total of a period has reached, and whether the period is over."""
        passed = self.passed_us(partitions)
        by_id = {rule.id: rule for rule in RULES}
        told = {}
        for (budget, start_us), used in self.used.items():
            rule = by_id[budget]
            over = _end_of(rule, start_us) <= passed
            for level, tenths in LEVELS:
                if used * 10 >= rule.limit * tenths:
                    told[Told(budget, start_us, level)] = Expected(resolved=over)
        return told

    def current(self, rule: Rule, partitions: int) -> int:
        """Start of the rule's running period."""
        return start_of(rule, self.passed_us(partitions))

    def windows(self, resolution: str) -> dict[tuple[str, int], Sums]:
        """Sums per team and hour, day or month (UTC), by start in µs."""
        if resolution == "hour":
            return dict(self.hours)
        out: defaultdict[tuple[str, int], Sums] = defaultdict(Sums)
        for (team, hour), sums in self.hours.items():
            start = hour - hour % DAY_US if resolution == "day" else _month_start(hour)
            out[team, start] = out[team, start].plus(sums)
        return dict(out)

    def _judge(self, event: Event) -> str | None:
        if "model" not in event:
            return "missing_field"
        if event["input_tokens"] < 0:
            return "negative_count"
        if event.get("cache_read_tokens", 0) > event["input_tokens"]:
            return "broken_invariant"
        known = self.accepted.get((event["source"], event["event_id"]))
        if known is None:
            return None
        return "duplicate" if known == event else "id_conflict"

    def _accept(self, event: Event) -> None:
        identity = (event["source"], event["event_id"])
        self.accepted[identity] = event
        self.rows[event["event_id"].partition("-")[0]].add(identity)
        team, at = team_of(event), event["occurred_at"]
        cost, held = price_of(event)
        sums = Sums(1, event["input_tokens"], event["output_tokens"], cost or 0, held)
        minute, hour = at - at % 60_000_000, at - at % 3_600_000_000
        self.minutes[team, minute] = self.minutes[team, minute].plus(sums)
        self.hours[team, hour] = self.hours[team, hour].plus(sums)
        for rule in RULES:
            if _matches(rule, event, team):
                amount = {
                    "calls": 1,
                    "tokens": sums.input_tokens + sums.output_tokens,
                    "usd": sums.cost + sums.held,
                }[rule.unit]
                self.used[rule.id, start_of(rule, at)] += amount


def team_of(event: Event) -> str:
    """The credential's team; else the team that the event claims, if there is one of that name."""
    team = CREDENTIALS.get(event.get("credential_id", ""))
    if team is not None:
        return team
    claimed: str | None = event.get("team_id")
    return claimed if claimed in DEPARTMENTS else UNATTRIBUTED


def price_of(event: Event) -> tuple[int | None, int]:
    """(cost, held) in nano-USD: the exact cost rounded half up once; None and what is held where no price is known."""
    fitting = [one for one in PRICES if one.model == event["model"] and one.from_us <= event["occurred_at"]]
    if not fitting:
        per_input, per_output = PROVISIONAL
        return None, (event["input_tokens"] * per_input + event["output_tokens"] * per_output + 500) // 1_000
    price = max(fitting, key=lambda one: one.from_us)
    cached = event.get("cache_read_tokens", 0)
    pico = (event["input_tokens"] - cached) * price.input + cached * price.cache_read
    return (pico + event["output_tokens"] * price.output + 500) // 1_000, 0


def start_of(rule: Rule, us: int) -> int:
    """Start of the period that holds the moment."""
    if rule.period == "month":
        return _month_start(us)
    return us - (us - rule.turns_us) % DAY_US


def _end_of(rule: Rule, start_us: int) -> int:
    return start_us + DAY_US if rule.period == "day" else _month_start(start_us + 32 * DAY_US)


def _month_start(us: int) -> int:
    date = datetime.fromtimestamp(us // 1_000_000, UTC)
    return int(datetime(date.year, date.month, 1, tzinfo=UTC).timestamp()) * 1_000_000


def _matches(rule: Rule, event: Event, team: str) -> bool:
    facts: Final = {
        "team": team,
        "department": DEPARTMENTS.get(team),
        "project": event.get("project_id"),
        "use_case": event.get("use_case"),
        "stage": event.get("stage"),
    }
    return all(facts[name] == wanted for name, wanted in rule.scope)
