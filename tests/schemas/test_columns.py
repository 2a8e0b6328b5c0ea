"""Arrow tables: the events' columns agree with Avro, and what stands on topics as Arrow IPC only grows at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyruhvro
import pytest

from schemas.avro_schemas import EventName, avro_schema
from schemas.enriched import ENRICHED
from schemas.outcomes import OUTCOME_COLUMNS
from schemas.tallies import CELL_DIMENSIONS, MEASURES, TALLIES, home_partition
from schemas.usage import CLOSED_SETS, INVARIANTS, TOKEN_COLUMNS, USAGE_COLUMNS

GOLDEN: Final = Path(__file__).parent / "golden"
#: CRC-32 modulo 16, computed outside of this code.
HOMES: Final = [5, 9, 2, 11]


def bare(avro_type: pa.DataType) -> pa.DataType:
    """Without what Avro cannot say: the zone of a time (Avro's are UTC), the names inside a map."""
    if pa.types.is_timestamp(avro_type):
        return pa.timestamp(avro_type.unit)
    if pa.types.is_map(avro_type):
        return pa.map_(avro_type.key_type, avro_type.item_type)
    return avro_type


def lines(schema: pa.Schema) -> list[str]:
    """`name: type` or `name: type not null`, one a line; times without zone, maps by their two types."""
    return [f"{field.name}: {bare(field.type)}{'' if field.nullable else ' not null'}" for field in schema]


@pytest.mark.parametrize(
    ("event", "columns"), [("usage_event", USAGE_COLUMNS), ("outcome_event", OUTCOME_COLUMNS)], ids=["usage", "outcome"]
)
def test_the_decoded_columns_are_the_current_avro_schema(event: EventName, columns: pa.Schema) -> None:
    from_avro = pa.schema(pyruhvro.avro_to_arrow_schema(avro_schema(event).text))
    assert lines(columns) == lines(from_avro), f"schemas/ columns of {event} and its newest .avsc differ: change both"


@pytest.mark.parametrize("columns", [USAGE_COLUMNS, OUTCOME_COLUMNS, ENRICHED], ids=["usage", "outcome", "enriched"])
def test_times_are_utc_microseconds(columns: pa.Schema) -> None:
    times = [field for field in columns if pa.types.is_timestamp(field.type)]
    assert times
    assert {field.type for field in times} == {pa.timestamp("us", tz="UTC")}


@pytest.mark.parametrize(
    ("name", "schema"), [("enriched", ENRICHED), ("tallies", TALLIES)], ids=["enriched", "tallies"]
)
def test_arrow_payloads_only_grow_at_their_end(name: str, schema: pa.Schema) -> None:
    released = (GOLDEN / f"{name}.columns.txt").read_text(encoding="utf-8").splitlines()
    found = lines(schema)
    assert found[: len(released)] == released, (
        f"columns of schemas/{name}.py were changed, moved or taken away: readers of the version before would misread "
        "them. Add new columns at the end, nullable, and leave the payload version alone"
    )
    added = found[len(released) :]
    assert not [line for line in added if line.endswith("not null")], (
        f"new columns of schemas/{name}.py must be nullable: a block of the version before does not have them"
    )
    assert not added, f"append these lines to tests/schemas/golden/{name}.columns.txt: {added}"


def test_no_plain_user_id_is_enriched() -> None:
    assert "user_id" not in ENRICHED.names
    assert "user_hash" in ENRICHED.names
    assert not {"user_id", "user_hash"} & set(TALLIES.names)


def test_rules_name_columns_that_exist() -> None:
    assert set(CLOSED_SETS) <= set(USAGE_COLUMNS.names)
    assert set(TOKEN_COLUMNS) <= set(USAGE_COLUMNS.names)
    for parts, whole in INVARIANTS:
        assert {*parts, whole} <= set(TOKEN_COLUMNS)
    assert set(CELL_DIMENSIONS) <= set(TALLIES.names)
    assert all(TALLIES.field(name).type == pa.int64() for name in MEASURES)


def test_defaults_in_avro_are_members_of_their_closed_sets() -> None:
    for field in json.loads(avro_schema("usage_event").text)["fields"]:
        if field["name"] in CLOSED_SETS and field.get("default") is not None:
            assert field["default"] in CLOSED_SETS[field["name"]]


def test_home_partitions_never_move() -> None:
    """State lives at a home: the same key must be found there by every version, on every machine."""
    assert [
        home_partition(key, 16) for key in ("team/search", "team/payments", "budget/search-month", "team/ü")
    ] == HOMES
    assert {home_partition(f"team/{number}", 16) for number in range(500)} == set(range(16))
