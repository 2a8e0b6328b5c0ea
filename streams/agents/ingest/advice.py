"""In: a rejection code. Out: what it means, and what whoever sends should do."""

from __future__ import annotations

from typing import Final

from schemas.rejections import RejectionCode

#: Code -> (what was wrong, what to do).
ADVICE: Final[dict[RejectionCode, tuple[str, str]]] = {
    "empty": ("messages without content", "Send an event in each message: empty values are no tombstones here."),
    "unknown_framing": ("bytes that are neither Avro nor JSON", "Set the producer's serializer: Avro or JSON."),
    "truncated": ("messages that end too early", "Look for a size limit or a cut buffer between producer and Kafka."),
    "unknown_schema": ("a schema that nobody knows", "Register the schema, or send the framing that carries none."),
    "schema_mismatch": ("a schema of other fields", "Use the published schema, or a newer version compatible with it."),
    "undecodable": ("Avro that cannot be decoded", "Write with the very schema whose id or fingerprint is sent."),
    "not_utf8": ("text that is not UTF-8", "Encode texts as UTF-8."),
    "bad_json": ("JSON that cannot be parsed", "Send one JSON object, or an array of them, in a message."),
    "missing_field": ("events without a required field", "Give event_id, source, occurred_at, model and token counts."),
    "bad_type": ("fields of a wrong type", "Compare the fields with the published schema."),
    "bad_value": ("values that are not allowed", "Compare the values with the published schema."),
    "negative_count": ("negative counts", "Send counts of this call alone, not differences of running totals."),
    "absurd_count": ("impossibly large counts", "Send tokens of one call: look for a sum or a wrong unit."),
    "broken_invariant": ("token counts that contradict each other", "Input includes cache, output includes reasoning."),
    "tag_not_allowed": ("tags that are not on the list", "Take the tag away, or have its key allowed in the settings."),
    "too_long": ("texts that are too long", "Shorten ids and names: no prompt or answer belongs into an event."),
    "too_early": ("event times too far in the past", "Check the unit of occurred_at: microseconds, UTC."),
    "too_far_ahead": ("event times in the future", "Set the sender's clock, and check the unit of occurred_at."),
    "id_conflict": ("ids that were used for another event", "Give every call an id of its own, kept for its retries."),
    "refused_by_clickhouse": ("rows that ClickHouse refused", "Nothing: whoever runs Streamgauge has to look."),
}


def meaning(code: str) -> str:
    """Also of a code that a newer version gives."""
    known = ADVICE.get(code)  # type: ignore[call-overload]
    return code if known is None else known[0]


def action(code: str) -> str:
    known = ADVICE.get(code)  # type: ignore[call-overload]
    return "Look at the events with the linked query." if known is None else known[1]
