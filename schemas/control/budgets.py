"""In: what somebody may use in a period. Out: the record of one budget: scope, unit, limit, levels, mode, time zone."""

from __future__ import annotations

import hashlib
import json
from decimal import Context, Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, field_validator, model_validator

from schemas.control.base import Id, Record, Text

Unit = Literal["usd", "tokens", "calls"]
Period = Literal["day", "month"]
Mode = Literal["observe", "warn", "enforce"]
Level = Literal["warning", "soft", "hard"]
LEVELS: tuple[Level, ...] = ("warning", "soft", "hard")
NANO_PER_USD = 1_000_000_000

#: Exact for every amount that a document may hold: 40 digits times a billion.
_WIDE = Context(prec=80)


def _plain(value: Decimal) -> Decimal:
    """Equal amounts get equal digits, so that equal documents have equal bytes."""
    return Decimal(format(_WIDE.normalize(value), "f"))


Amount = Annotated[Decimal, Field(max_digits=40), AfterValidator(_plain)]


class Scope(Record):
    """Which events count: all that match every selector given. No selector at all is the whole platform."""

    department: Id | None = None
    team: Id | None = None
    project: Id | None = None
    use_case: Id | None = None
    stage: Literal["exploratory", "production"] | None = None
    model_class: Id | None = None

    def selectors(self) -> dict[str, str]:
        """Tally column -> wanted value, for the selectors that are set."""
        columns = {"team": "team_id", "project": "project_id"}
        return {columns.get(name, name): value for name, value in self.model_dump(exclude_none=True).items()}

    def text(self) -> str:
        """For people: `team search, stage production`, or `platform`."""
        return ", ".join(f"{name} {value}" for name, value in self.model_dump(exclude_none=True).items()) or "platform"


class Levels(Record):
    """Shares of the limit at which each level begins; each at least the one before."""

    warning: Amount = Field(default=Decimal("0.8"), gt=0, le=100)
    soft: Amount = Field(default=Decimal(1), gt=0, le=100)
    hard: Amount = Field(default=Decimal("1.2"), gt=0, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> Levels:
        if not self.warning <= self.soft <= self.hard:
            raise ValueError(
                f"levels must rise: warning {self.warning} ≤ soft {self.soft} ≤ hard {self.hard} does not hold"
            )
        return self

    def share(self, level: Level) -> Decimal:
        return {"warning": self.warning, "soft": self.soft, "hard": self.hard}[level]


class Budget(Record):
    """One budget. `limit` is in US dollars, tokens (input + output) or calls, by `unit`."""

    kind: Literal["budget"] = "budget"
    id: Id
    scope: Scope = Scope()
    unit: Unit = "usd"
    limit: Amount = Field(gt=0)
    period: Period
    time_zone: str = "UTC"
    levels: Levels = Levels()
    mode: Mode = "warn"
    owner: Text | None = None
    contact: Text | None = None
    note: Text | None = None

    @field_validator("limit", mode="before")
    @classmethod
    def _no_float(cls, value: object) -> object:
        if isinstance(value, float):
            raise ValueError(f'{value!r} is a binary fraction: write it in quotes, as limit: "{value}"')
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value == "localtime":
            raise ValueError("time zone 'localtime' depends on the machine; use a name such as Europe/Berlin or UTC")
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"time zone {value!r} is not known; use a name such as Europe/Berlin or UTC") from error
        return value

    @model_validator(mode="after")
    def _exact_limit(self) -> Budget:
        scaled = _WIDE.multiply(self.limit, Decimal(self._units_per_whole))
        if scaled != scaled.to_integral_value():
            raise ValueError(
                f"limit {self.limit} is finer than one "
                f"{'billionth of a dollar' if self.unit == 'usd' else self.unit[:-1]}"
            )
        if scaled >= 2**62:
            raise ValueError(f"limit {self.limit} is too large: the greatest is {2**62 // self._units_per_whole}")
        return self

    @property
    def _units_per_whole(self) -> int:
        return NANO_PER_USD if self.unit == "usd" else 1

    @property
    def limit_units(self) -> int:
        """The limit in whole units: nano-USD, tokens or calls."""
        return int(_WIDE.multiply(self.limit, Decimal(self._units_per_whole)))

    def level_units(self, level: Level) -> int:
        """Use at which `level` begins, in whole units, rounded up: reaching it crosses it."""
        exact = _WIDE.multiply(self.levels.share(level), Decimal(self.limit_units))
        return int(exact.to_integral_value(rounding="ROUND_CEILING"))

    @property
    def rule(self) -> str:
        """Hash of what decides which events count and when periods turn. A new limit or level keeps the totals."""
        parts = json.dumps([self.scope.selectors(), self.period, self.time_zone], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()[:16]
