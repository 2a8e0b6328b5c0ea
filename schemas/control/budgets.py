"""In: what somebody may use in a period. Out: the record of one budget: scope, unit, limit, levels, mode, time zone."""

from __future__ import annotations

import hashlib
import json
from decimal import Context, Decimal
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from schemas.control.base import QUARTER_US, Criticality, Id, Moment, Record, Stage, Text, moment_us

Unit = Literal["usd", "tokens", "input_tokens", "output_tokens", "calls"]
Period = Literal["hour", "day", "week", "month", "quarter", "span"]
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


#: Scope field -> the column of an enriched row that it is held against, where the two are not named alike.
_COLUMNS: Final = {"team": "team_id", "project": "project_id", "user": "user_hash"}


class Scope(Record):
    """Which events count: all that match every selector given. No selector at all is the whole platform."""

    department: Id | None = Field(default=None, description="A department with all that lie below it.")
    within: tuple[Id, ...] = Field(
        default=(), description="The department and those below it; `streamgauge apply` fills it in. Not for files."
    )
    team: Id | None = None
    project: Id | None = None
    use_case: Id | None = None
    workflow: Id | None = None
    user: Text | None = Field(default=None, description="One person; published as a keyed hash, never as written.")
    role: Id | None = Field(default=None, description="Of the person, as the directory has it.")
    stage: Stage | None = None
    model_class: Id | None = None
    criticality: Criticality | None = Field(default=None, description="Of the use case.")
    data_class: Id | None = None

    def selectors(self) -> dict[str, tuple[str, ...]]:
        """Column of an enriched row -> the values that match, for the selectors that are set."""
        found: dict[str, tuple[str, ...]] = {
            _COLUMNS.get(name, name): (value,)
            for name, value in self.model_dump(exclude_none=True, exclude={"within"}).items()
        }
        if self.department is not None:
            found["department"] = self.within or (self.department,)
        return found

    @property
    def is_personal(self) -> bool:
        """Whether it is about one person: its status has a topic of its own, and no alert tells who."""
        return self.user is not None

    def text(self) -> str:
        """For people: `team search, stage production`, or `platform`. A person is never named."""
        parts = self.model_dump(exclude_none=True, exclude={"within", "user"})
        told = [f"{name.replace('_', ' ')} {value}" for name, value in parts.items()]
        return ", ".join([*told, *(["one person"] if self.is_personal else [])]) or "platform"


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


class ForecastLevels(Record):
    """When the forecast of a period is worth an alert."""

    chance: float = Field(default=0.8, gt=0, lt=1, description="Chance of exceeding the limit that is told.")
    above_plan: float = Field(default=0.2, gt=0, le=10, description="Share above the plan that is told at once.")


class Budget(Record):
    """One budget. `limit` and `plan` are in US dollars, tokens (all are input + output) or calls, by `unit`."""

    kind: Literal["budget"] = "budget"
    id: Id
    scope: Scope = Scope()
    unit: Unit = "usd"
    limit: Amount = Field(gt=0)
    plan: Amount | None = Field(default=None, gt=0, description="What is expected to be used; the limit if not given.")
    period: Period
    starts_at: Moment | None = Field(default=None, description="Of a span, and of no other period.")
    ends_at: Moment | None = Field(default=None, description="Of a span, exclusive.")
    time_zone: str = "UTC"
    levels: Levels = Levels()
    mode: Mode = "warn"
    forecast: ForecastLevels = ForecastLevels()
    owner: Text | None = None
    contact: Text | None = None
    note: Text | None = None

    @field_validator("limit", "plan", mode="before")
    @classmethod
    def _no_float(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, float):
            raise ValueError(f'{value!r} is a binary fraction: write it in quotes, as {info.field_name}: "{value}"')
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value == "localtime":
            raise ValueError("time zone 'localtime' depends on the machine; use a name such as Europe/Berlin or UTC")
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"time zone {value!r} is not known; use a name such as Europe/Berlin or UTC") from error
        return value

    @model_validator(mode="after")
    def _span_has_ends(self) -> Budget:
        if self.period != "span":
            if self.starts_at is not None or self.ends_at is not None:
                raise ValueError(f"starts_at and ends_at belong to period span, not to period {self.period}")
        elif self.starts_at is None or self.ends_at is None:
            raise ValueError("period span needs starts_at and ends_at")
        elif self.ends_at <= self.starts_at:
            raise ValueError(f"ends_at {self.ends_at.isoformat()} is not after starts_at {self.starts_at.isoformat()}")
        elif any(moment_us(moment) % QUARTER_US for moment in (self.starts_at, self.ends_at)):
            raise ValueError("a span starts and ends at a full quarter of an hour: budgets are counted by those")
        return self

    @model_validator(mode="after")
    def _exact_limit(self) -> Budget:
        scaled = _WIDE.multiply(self.limit, Decimal(self._units_per_whole))
        if scaled != scaled.to_integral_value():
            raise ValueError(
                f"limit {self.limit} is finer than one "
                f"{'billionth of a dollar' if self.unit == 'usd' else self.unit.replace('_', ' ')[:-1]}"
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

    @property
    def plan_units(self) -> int:
        """What is expected to be used, in whole units."""
        planned = self.limit if self.plan is None else self.plan
        return int(_WIDE.multiply(planned, Decimal(self._units_per_whole)))

    def level_units(self, level: Level) -> int:
        """Use at which `level` begins, in whole units, rounded up: reaching it crosses it."""
        exact = _WIDE.multiply(self.levels.share(level), Decimal(self.limit_units))
        return int(exact.to_integral_value(rounding="ROUND_CEILING"))

    @property
    def rule(self) -> str:
        """Hash of what decides which events count and when periods turn. A new limit or level keeps the totals."""
        values = {name: one[0] if len(one) == 1 else sorted(one) for name, one in self.scope.selectors().items()}
        calendar = [self.period, self.time_zone]
        if self.starts_at is not None and self.ends_at is not None:
            calendar += [self.starts_at.isoformat(), self.ends_at.isoformat()]
        # What is counted by other columns than every total has starts anew.
        counted = [self.unit] if self.unit in ("input_tokens", "output_tokens") else []
        parts = json.dumps([values, *calendar, *counted], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()[:16]
