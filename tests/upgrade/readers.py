"""In: recorded messages of one topic. Out: what today's readers of that topic see in them, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import pyarrow as pa

from schemas.adjustments import ADJUSTED_EVENTS, read_adjustment
from schemas.alerts import Alert
from schemas.arrow_ipc import from_ipc
from schemas.avro_schemas import avro_schema
from schemas.control.records import parse_record, record_key
from schemas.decoding import Decoder
from schemas.positions import read_mark, read_range, read_version
from schemas.rejections import Rejection
from schemas.status import GOVERNANCE, BudgetStatus, GovernanceStatus
from schemas.tallies import TALLIES
from sinks.events.ranges import Assembler
from streams.agents.state_records import read_checkpoints
from streams.agents.tally_message import read_tally
from streams.enrich.fingerprint_log import read_fingerprints
from tests.fuzz.corpus import Registry
from tests.schemas.golden_files import CONFLUENT_ID
from tests.upgrade.recorded import Message


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Without what is null, so that a column which a later version added does not show."""
    return [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]


def events(messages: list[Message]) -> Any:
    """Ids alone name the schema of a Confluent message, so each form of the topic stands by itself in the registry."""
    found = []
    for one in messages:
        name = "usage_event_batch" if one.key == b"batch" else "usage_event"
        decoder = Decoder("usage_event", Registry({CONFLUENT_ID: avro_schema(name).text}))
        decoded = decoder.decode([one.value])
        assert decoded.failures == []
        found.append(rows(decoded.table))
    return found


def outcomes(messages: list[Message]) -> Any:
    decoded = Decoder("outcome_event", Registry({CONFLUENT_ID: avro_schema("outcome_event").text})).decode(
        [one.value for one in messages]
    )
    assert decoded.failures == []
    return rows(decoded.table)


def enriched(messages: list[Message]) -> Any:
    assembler = Assembler()
    blocks = [assembler.feed(offset, one.headers, one.value) for offset, one in enumerate(messages)]
    return [[asdict(block.source), asdict(block.ledger), rows(block.table())] for block in blocks if block is not None]


def tallies(messages: list[Message]) -> Any:
    read = [read_tally(offset, one.headers, one.value) for offset, one in enumerate(messages)]
    return [
        [asdict(one.range), _known(asdict(one.mark)), rows(one.table) if one.table is not None else None]
        for one in read
    ]


def fingerprints(messages: list[Message]) -> Any:
    found = []
    for one in messages:
        read_version(one.headers)
        prints = read_fingerprints(one.value)
        mark = _known(asdict(read_mark(one.headers)))
        found.append([asdict(read_range(one.headers)), mark, prints.ids.tolist(), prints.notes.tolist()])
    return found


def state(messages: list[Message]) -> Any:
    """As a shard is opened: the newest record of each key."""
    newest = {one.key.decode(): one.value for one in messages if one.key is not None}
    found = read_checkpoints({key: value for key, value in newest.items() if value is not None})
    return [
        [one.sequence, one.full, dict(one.positions), {name: rows(table) for name, table in one.tables.items()}]
        for one in found
    ]


def rejected(messages: list[Message]) -> Any:
    return [Rejection.model_validate_json(one.value or b"").model_dump() for one in messages]


def alerts(messages: list[Message]) -> Any:
    # What the bytes say: fields that a later version added have their default.
    read = [Alert.model_validate_json(one.value or b"") for one in messages]
    return [_known(alert.model_dump(mode="json", exclude_unset=True)) for alert in read]


def statuses(messages: list[Message]) -> Any:
    found = []
    for one in messages:
        is_governance = (one.key or b"").startswith(f"{GOVERNANCE}|".encode())
        model: type[BudgetStatus | GovernanceStatus] = GovernanceStatus if is_governance else BudgetStatus
        found.append(_known(model.model_validate_json(one.value or b"").model_dump(mode="json", exclude_unset=True)))
    return found


def control(messages: list[Message]) -> Any:
    records = [parse_record(one.value or b"") for one in messages]
    # What the bytes say: fields that a later version added have their default.
    return [[record_key(record), _known(record.model_dump(mode="json", exclude_unset=True))] for record in records]


def adjustments(messages: list[Message]) -> Any:
    found = []
    for one in messages:
        part = read_adjustment(one.headers)
        schema = TALLIES if part.form == "tallies" else ADJUSTED_EVENTS
        found.append([asdict(part), rows(from_ipc(one.value, schema))])
    return found


def _known(value: Any) -> Any:
    """Without nulls, at any depth: a field that a later version added does not show."""
    if isinstance(value, dict):
        return {name: _known(one) for name, one in value.items() if one is not None}
    return [_known(one) for one in value] if isinstance(value, list | tuple) else value


READERS: Final[dict[str, Callable[[list[Message]], Any]]] = {
    "usage.events": events,
    "usage.outcomes": outcomes,
    "usage.enriched": enriched,
    "usage.tallies": tallies,
    "usage.fingerprints": fingerprints,
    "usage.state": state,
    "usage.rejected": rejected,
    "usage.adjustments": adjustments,
    "governance.alerts": alerts,
    "governance.status": statuses,
    "governance.control": control,
}
