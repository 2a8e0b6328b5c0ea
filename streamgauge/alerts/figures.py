"""In: amounts, shares and spans. Out: words: money that is never rounded to nothing, counts with their unit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from schemas.alerts import Alert, AlertUnit

_CENT: Final = 10_000_000
_UNITS: Final[dict[AlertUnit, str]] = {
    "nanousd": "",
    "tokens": " tokens",
    "input_tokens": " input tokens",
    "output_tokens": " output tokens",
    "calls": " calls",
}


def money(nanousd: int) -> str:
    """`$1,204.50`; below a cent two digits that say something, such as `$0.0042`."""
    sign, size = ("-" if nanousd < 0 else ""), abs(nanousd)
    if 0 < size < _CENT:
        exact = Decimal(size).scaleb(-9)
        return f"{sign}${exact.quantize(Decimal(1).scaleb(exact.adjusted() - 1)).normalize():f}"
    cents = (size + _CENT // 2) // _CENT
    return f"{sign}${cents // 100:,}.{cents % 100:02d}"


def figure(value: int, unit: AlertUnit) -> str:
    """An amount in the unit of its alert."""
    return money(value) if unit == "nanousd" else f"{value:,}{_UNITS[unit]}"


def signed(value: int, unit: AlertUnit) -> str:
    """A change: a rise has its sign as well."""
    return f"{'+' if value > 0 else ''}{figure(value, unit)}"


def percent(share: float) -> str:
    """`75%`, and `0.4%` where whole ones would say nothing."""
    return f"{share:.1%}" if 0 < abs(share) < 0.01 else f"{share:.0%}"


def lasting(span: timedelta) -> str:
    """`2 h 05 min`, `3 d 4 h`; never negative."""
    minutes = max(0, round(span.total_seconds() / 60))
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def impact_text(alert: Alert) -> str | None:
    """`$12.40 extra so far, $890.00 a day if it goes on`; None where the alert tells no impact."""
    if alert.impact is None:
        return None
    over = alert.state == "resolved"
    told = f"{money(alert.impact)} extra{' in all' if over else ' so far'}"
    if alert.impact_per_day is not None and not over:
        told += f", {money(alert.impact_per_day)} a day if it goes on"
    return told


def incident_text(alert: Alert) -> str | None:
    """`runaway loop`; None where nobody knows."""
    return None if alert.incident in (None, "unknown") else alert.incident.replace("_", " ")


def about(alert: Alert) -> str:
    """Whose it is, in a few words: `search / checkout-help`."""
    scope = alert.scope
    parts = [scope.team or scope.department, scope.project, scope.use_case, scope.workflow]
    told = " / ".join(part for part in parts if part)
    return told or scope.source or ("one person" if scope.one_person else "the platform")


def printable(text: str) -> str:
    """Names in an alert come from events: what could steer a terminal is replaced."""
    return "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text)


def utc(value: datetime) -> str:
    """To the second, without the zone: columns and lines say that it is UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
