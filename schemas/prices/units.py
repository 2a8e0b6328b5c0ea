"""Decimal US dollars in, integers out: the two money units of the rate card and the step between them.

Rates are integer *zepto-dollars* (1e-21 USD) per token, because genai-prices holds rates such as 0.0833333333333333 USD
per million tokens, whose error at a coarser unit would reach a visible amount over millions of tokens. Amounts are
integer *pico-dollars* (1e-12 USD) while they are summed and *nano-dollars* (1e-9 USD) once they leave.

Bound: MAX_TOKENS (1e8 per field) and MAX_USD_PER_MTOK keep every sum below 2**63: (input + output tokens) * rate
= 2e8 * 9e9 pico-dollars = 1.8e18 < 9.2e18, and the fractions below one pico-dollar 2e8 * 1e9 = 2e17.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import NewType

ZeptoUSD = NewType("ZeptoUSD", int)
"""1e-21 USD, the unit of a rate (per token, or per request)."""

ZEPTO_PER_PICO = 1_000_000_000
PICO_PER_NANO = 1_000
MAX_USD_PER_MTOK = Decimal(9_000)
MAX_USD_PER_REQUEST = Decimal(1_000)

_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


class RateOutOfRangeError(ValueError):
    """A rate is negative, not finite, or too large for 64-bit sums."""


def zepto_per_token(usd_per_mtok: Decimal) -> ZeptoUSD:
    """USD per million tokens -> zepto-dollars per token; exact up to 15 decimals, rounded half even beyond.

    The rounding is at most 0.5 zepto-dollars a token, so 5e-5 nano-dollars over 1e8 tokens.
    """
    return _scaled(usd_per_mtok, 15, MAX_USD_PER_MTOK, "USD per million tokens")


def zepto_per_request(usd_per_thousand: Decimal) -> ZeptoUSD:
    """USD per thousand requests -> zepto-dollars per request."""
    return _scaled(usd_per_thousand, 18, MAX_USD_PER_REQUEST * 1000, "USD per thousand requests")


def _scaled(rate: Decimal, exponent: int, ceiling: Decimal, unit: str) -> ZeptoUSD:
    if not rate.is_finite() or rate < 0 or rate > ceiling:
        raise RateOutOfRangeError(f"rate {rate} {unit} is outside 0 to {ceiling}; check the unit of the figure")
    with localcontext(_WIDE):
        return ZeptoUSD(int(rate.scaleb(exponent).to_integral_value(ROUND_HALF_EVEN)))
