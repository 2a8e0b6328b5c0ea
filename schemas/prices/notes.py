"""The closed sets that a priced row speaks in: status, note and context, each with a fixed integer code.

The code of a member is its place in the tuple below; code 0 of ``NOTES`` and ``CONTEXTS`` stands for null.
"""

from __future__ import annotations

from enum import StrEnum


class PriceStatus(StrEnum):
    """How far the cost of a row can be trusted."""

    PRICED = "priced"
    FALLBACK = "fallback"
    """Priced, but not with the rate that the call asked for, or not in full; the note says which."""
    UNPRICED = "unpriced"


class PriceNote(StrEnum):
    """Why a row is ``fallback`` or ``unpriced``, or a remark on a ``priced`` one."""

    # unpriced: the cost is null
    PROVIDER_UNKNOWN = "provider_unknown"
    MODEL_UNKNOWN = "model_unknown"
    NO_TOKEN_RATES = "no_token_rates"
    """The model is known, but is billed in other units, or has no listed rate at all."""
    TOKENS_INVALID = "tokens_invalid"
    """Counts are negative, contradict each other or exceed MAX_TOKENS."""

    # fallback: the cost stands, by another rate than asked for
    CONTEXT_UNKNOWN = "context_unknown"
    """No price for this service tier here; the standard price was used."""
    CONTEXT_NOT_YET_PRICED = "context_not_yet_priced"
    """The tier's price is only known from a later date; the standard price was used."""
    CONTEXT_PARTIAL = "context_partial"
    """The tier's price names no rate for a kind of token that the call has; the standard rate was used for it."""
    RESPONSE_MODEL_UNKNOWN = "response_model_unknown"
    """The model that answered is not known; the price is that of the model asked for."""
    CACHE_READ_AT_INPUT_RATE = "cache_read_at_input_rate"
    CACHE_WRITE_AT_INPUT_RATE = "cache_write_at_input_rate"
    CACHE_WRITE_1H_AT_WRITE_RATE = "cache_write_1h_at_write_rate"
    OUTPUT_RATE_MISSING = "output_rate_missing"
    """The model lists no output rate; its output tokens are counted at zero."""
    METERS_NOT_PRICED = "meters_not_priced"
    """The event also carries units other than tokens; the cost is that of the tokens alone."""

    # priced, with a remark
    REQUEST_FEE_IN_INPUT = "request_fee_in_input"
    """The model charges per request; the fee stands in the input cost."""
    TEXT_RATES_ONLY = "text_rates_only"
    """The model has rates of its own for audio, image or video; all tokens were priced as text."""
    ORIGIN_PROVIDER_PRICE = "origin_provider_price"
    """The provider resells the model and lists no price; the price is that of the model's own provider."""
    LISTED_FREE = "listed_free"
    """The price list names the model free of charge; its cost is zero."""
    GATEWAY_CACHE_HIT = "gateway_cache_hit"
    """A gateway answered from its own cache: nothing is billed, so the cost is zero whatever the model's price."""


class PriceContext(StrEnum):
    """The service tier whose price was applied."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"
    FAST = "fast"


STATUSES: tuple[PriceStatus, ...] = tuple(PriceStatus)
NOTES: tuple[PriceNote | None, ...] = (None, *PriceNote)
CONTEXTS: tuple[PriceContext | None, ...] = (None, *PriceContext)


def note_code(note: PriceNote | None) -> int:
    """The integer that stands for a note in columns; 0 is null."""
    return NOTES.index(note)


def context_code(context: PriceContext | None) -> int:
    """The integer that stands for a context in columns; 0 is null."""
    return CONTEXTS.index(context)


_TIERS: dict[str, PriceContext] = {
    # ``auto`` is what was asked, not what was served: it tells no more than a missing tier does.
    **dict.fromkeys(("", "standard", "default", "auto", "on_demand", "on-demand"), PriceContext.STANDARD),
    **dict.fromkeys(("batch", "batches"), PriceContext.BATCH),
    "flex": PriceContext.FLEX,
    "priority": PriceContext.PRIORITY,
    "fast": PriceContext.FAST,
}


def context_of(service_tier: str | None) -> PriceContext | None:
    """The price context that a service tier asks for; a missing tier is standard, None is a tier that nobody knows."""
    return _TIERS.get((service_tier or "").strip().lower())
