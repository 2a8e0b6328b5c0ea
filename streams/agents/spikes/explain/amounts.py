"""In: amounts. Out: the same as people read them."""

from __future__ import annotations

from runtime.clock import to_datetime

_NANO = 1_000_000_000
_DAY_US = 86_400_000_000


def money(nano: float) -> str:
    """Dollars: whole ones from a thousand on, and parts of a cent where it is less than one."""
    usd = nano / _NANO
    sign, usd = ("-", -usd) if usd < 0 else ("", usd)
    if usd >= 999.5:
        return f"{sign}${usd:,.0f}"
    return f"{sign}${usd:,.2f}" if usd >= 0.01 or usd == 0 else f"{sign}${usd:.2g}"


def times(ratio: float) -> str:
    """`5.2 times`; whole ones from twenty on."""
    return f"{ratio:,.0f} times" if ratio >= 20 else f"{ratio:.1f} times"


def percent(share: float) -> str:
    """Whole percents; never 0% or 100% of what is not quite that."""
    if 0 < share < 0.01:
        return "under 1%"
    return "over 99%" if 0.995 <= share < 1 else f"{share:.0%}"


def moment(us: int, beside_us: int) -> str:
    """UTC; with the day where that is another one than `beside_us`'s."""
    at = to_datetime(us)
    day = "" if us // _DAY_US == beside_us // _DAY_US else f"{at.day} {at:%b} "
    return f"{day}{at:%H:%M} UTC"


def tokens(number: float) -> str:
    return f"{number:,.0f}"
