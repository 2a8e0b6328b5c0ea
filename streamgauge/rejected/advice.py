"""In: a rejection code. Out: what to do about it, and whether the same bytes can pass when they are sent again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.rejections import RejectionCode


@dataclass(frozen=True, slots=True)
class Advice:
    """`remedy`: a sentence or two for people. `never`: why sending the same bytes again cannot help; None: it can."""

    remedy: str
    never: str | None = None


_SENDER: Final = "The same bytes would be refused again: the sender sends the corrected event anew"

ADVICE: Final[dict[RejectionCode, Advice]] = {
    "empty": Advice(
        "The sender produced a message without a value: usage topics know no tombstones. Have it send events only.",
        never="the message is empty",
    ),
    "unknown_framing": Advice(
        "The value is neither Avro (single-object or with a schema id) nor a JSON object: have the sender use the SDK, "
        "or one of the three framings. Replay helps after an upgrade that reads the framing."
    ),
    "truncated": Advice("The value ends in the middle of an event: the sender or a proxy cut it off. " + _SENDER + "."),
    "unknown_schema": Advice(
        "The schema that the value names is not known here: register it, or point schema_registry.url to the registry "
        "that has it, then replay."
    ),
    "schema_mismatch": Advice(
        "The value's schema is registered, but cannot be read as ours: have it changed compatibly (FULL_TRANSITIVE), "
        "restart enrich, then replay."
    ),
    "undecodable": Advice(
        "The bytes are not what their schema says: the sender writes by another schema. " + _SENDER + "."
    ),
    "not_utf8": Advice("A text is not UTF-8: have the sender encode its texts. " + _SENDER + "."),
    "bad_json": Advice("The value begins like JSON and is not: have the sender escape and close it. " + _SENDER + "."),
    "missing_field": Advice("A field that every event needs is not there: have the sender fill it. " + _SENDER + "."),
    "bad_type": Advice(
        "A field has a value of another type than its own: have the sender write it as documented. " + _SENDER + "."
    ),
    "bad_value": Advice("A field has a value that it cannot have: have the sender correct it. " + _SENDER + "."),
    "negative_count": Advice("A count is below zero: have the sender correct it. " + _SENDER + "."),
    "absurd_count": Advice(
        "A count is beyond anything a model can use: have the sender check its unit. " + _SENDER + "."
    ),
    "broken_invariant": Advice(
        "Fields contradict each other, such as more cached than input tokens: have the sender count inclusively "
        "(docs/sending-usage.md). " + _SENDER + "."
    ),
    "tag_not_allowed": Advice(
        "A tag's key is not on the allow-list: allow it with enrich.tag_keys, restart enrich, then replay; or have the "
        "sender leave it out."
    ),
    "too_long": Advice(
        "A text is longer than is stored: have the sender shorten it; prompts do not belong here. " + _SENDER + "."
    ),
    "too_early": Advice(
        "The event's time lies before 2015: the sender uses another unit than microseconds. " + _SENDER + "."
    ),
    "too_far_ahead": Advice(
        "The event's time lay more than a day ahead of the broker's clock: have the sender's clock set. When that time "
        "has come, a replay passes."
    ),
    "id_conflict": Advice(
        "Another event with this id and source was counted, with other content: have the sender give each call an id "
        "of its own, and send this one under a new id.",
        never="its id belongs to another event that was counted",
    ),
    "refused_by_clickhouse": Advice(
        "Totals and budgets count the event, but ClickHouse does not take its row: read the message, mend the table "
        "(or upgrade), then replay, which inserts the row at its own position."
    ),
}
