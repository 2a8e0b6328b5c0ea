"""In: nothing. Out: the company that the crash matrix runs on: who belongs where, what models cost, what may be spent.

Plain figures, from which the control documents are made and from which the oracle computes. Prices are whole
pico-dollars a token: 1 USD per million tokens is 1,000,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal

from schemas.control.budgets import Budget, Scope
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from schemas.control.records import ControlRecord
from schemas.prices.overrides import OverrideRates, PriceOverride

Unit = Literal["usd", "tokens", "calls"]
Period = Literal["day", "month"]

DAY_US: Final = 86_400_000_000
#: Monday 2026-03-02, noon UTC: the first event's time, in µs since the epoch.
BEGIN_US: Final = 1_772_452_800_000_000

#: Team -> department. The last has none.
DEPARTMENTS: Final[dict[str, str | None]] = {
    "team-0": "north",
    "team-1": "north",
    "team-2": "south",
    "team-3": "south",
    "team-4": None,
}
#: Credential -> team. Who comes without one of these is taken at their word, if the team exists.
CREDENTIALS: Final = {f"key-{number}": team for number, team in enumerate(DEPARTMENTS)}
UNATTRIBUTED: Final = "unattributed"


@dataclass(frozen=True, slots=True)
class Price:
    """Pico-dollars a token from `from_us` on."""

    model: str
    from_us: int
    input: int
    cache_read: int
    output: int


PRICES: Final = (
    Price("crash-small", 0, 37_500, 7_500, 300_500),
    Price("crash-large", 0, 3_000_000, 300_000, 15_000_000),
    # In the afternoon of the third day.
    Price("crash-large", BEGIN_US + 2 * DAY_US + DAY_US // 8, 2_500_000, 250_000, 12_500_000),
)
UNPRICED_MODEL: Final = "crash-not-on-any-list"
#: What unpriced tokens are held at against budgets in USD, input and output: the roles' default.
PROVISIONAL: Final = (10_000_000, 40_000_000)


@dataclass(frozen=True, slots=True)
class Rule:
    """One budget. `scope`: field of an event (or `department`) -> wanted value; `limit` in nano-USD, tokens or calls.

    `turns_us`: how long after midnight UTC its day turns.
    """

    id: str
    unit: Unit
    limit: int
    scope: tuple[tuple[str, str], ...] = ()
    period: Period = "day"
    turns_us: int = 0
    zone: str = "UTC"


#: UTC+5:30 all year: its day turns at 18:30 UTC.
_KOLKATA: Final = {"turns_us": 66_600_000_000, "zone": "Asia/Kolkata"}

RULES: Final = (
    Rule("platform-calls", "calls", 8_500),
    Rule("platform-tokens", "tokens", 13_000_000),
    Rule("north-tokens", "tokens", 6_000_000, (("department", "north"),)),
    Rule("south-usd", "usd", 26_000_000_000, (("department", "south"),)),
    Rule("team-0-usd", "usd", 9_000_000_000, (("team", "team-0"),)),
    Rule("team-1-tokens", "tokens", 2_000_000, (("team", "team-1"),)),
    Rule("team-2-calls", "calls", 2_300, (("team", "team-2"),)),
    Rule("team-3-usd", "usd", 16_000_000_000, (("team", "team-3"),), **_KOLKATA),  # type: ignore[arg-type]
    Rule("team-4-calls", "calls", 1_200, (("team", "team-4"),), **_KOLKATA),  # type: ignore[arg-type]
    Rule("production-usd", "usd", 40_000_000_000, (("stage", "production"),)),
    Rule("triage-tokens", "tokens", 4_000_000, (("use_case", "triage"),)),
    Rule("atlas-calls", "calls", 1_500, (("project", "atlas"),)),
    Rule("quiet-usd", "usd", 900_000_000_000, (("team", "team-1"),)),
    Rule("platform-month", "usd", 160_000_000_000, (), "month"),
    Rule("team-0-month", "tokens", 9_000_000, (("team", "team-0"),), "month"),
)
#: Shares of the limit at which the levels begin, in tenths: the documents' defaults.
LEVELS: Final = (("warning", 8), ("soft", 10), ("hard", 12))


def documents() -> list[ControlRecord]:
    """The company as control documents."""
    teams = [Team(id=team, terms=(TeamTerm(department=department),)) for team, department in DEPARTMENTS.items()]
    senders = [
        Sender(sender="credential", id=credential, terms=(Membership(team=team),))
        for credential, team in CREDENTIALS.items()
    ]
    return [*teams, *senders, *map(_price, enumerate(PRICES)), *map(_budget, RULES)]


def _price(numbered: tuple[int, Price]) -> PriceOverride:
    number, price = numbered
    return PriceOverride(
        id=f"price-{number}",
        model=price.model,
        valid_from=datetime(2026, 1, 1, tzinfo=UTC) if price.from_us == 0 else _moment(price.from_us),
        rates=OverrideRates(
            input=_per_million(price.input),
            cache_read=_per_million(price.cache_read),
            output=_per_million(price.output),
        ),
        source="the crash matrix",
    )


def _budget(rule: Rule) -> Budget:
    limit = Decimal(rule.limit).scaleb(-9) if rule.unit == "usd" else Decimal(rule.limit)
    scope = Scope.model_validate(dict(rule.scope))
    return Budget(id=rule.id, scope=scope, unit=rule.unit, limit=limit, period=rule.period, time_zone=rule.zone)


def _per_million(pico: int) -> Decimal:
    return Decimal(pico).scaleb(-6)


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC)
