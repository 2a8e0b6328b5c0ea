"""In: nothing. Out: what all control records share: strict fields, ids that people can type, and dated validity."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

#: Ids that people type: letters, digits and `._-/@:`, starting with a letter or digit.
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-/@:]{0,127}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000, strip_whitespace=True)]


class Record(BaseModel):
    """Base of every control record. Unknown fields are refused: a typo must not silently mean nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def _midnight(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    if isinstance(value, str) and len(value) == len("2026-01-31"):
        return datetime.combine(date.fromisoformat(value), time(), UTC)
    return value


def _zoned(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone: write a date (midnight UTC) or end it with Z")
    return value.astimezone(UTC)


#: A moment: a date means midnight UTC; a time needs its zone.
Moment = Annotated[datetime, BeforeValidator(_midnight), AfterValidator(_zoned)]


class Dated(Record):
    """Valid in [valid_from, valid_to); None is open."""

    valid_from: Moment | None = None
    valid_to: Moment | None = None

    def model_post_init(self, _context: object) -> None:
        if self.valid_from is not None and self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError(
                f"valid_to {self.valid_to.isoformat()} is not after valid_from {self.valid_from.isoformat()}"
            )

    @property
    def from_us(self) -> int:
        """Start in µs since the epoch; the least int64 when open."""
        return -(2**63) if self.valid_from is None else moment_us(self.valid_from)

    @property
    def to_us(self) -> int:
        """End (exclusive) in µs since the epoch; the greatest int64 when open."""
        return 2**63 - 1 if self.valid_to is None else moment_us(self.valid_to)


def moment_us(moment: datetime) -> int:
    """Exact µs since the epoch (no float on the way)."""
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def us_moment(us: int) -> datetime:
    """The moment of µs since the epoch, UTC; exact, unlike datetime.fromtimestamp(us / 1e6)."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


Criticality = Annotated[str, Field(pattern=r"^(low|medium|high|critical)$")]
Stage = Literal["exploratory", "production"]
#: Budgets are counted by quarters of an hour: every time zone's day begins at one.
QUARTER_US: Final = 900_000_000
