"""In: Arrow columns as some writer schema gave them. Out: the current columns, with defaults for what the writer did
not know.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pyarrow as pa

from schemas.avro_schemas import avro_schema
from schemas.outcomes import OUTCOME_COLUMNS
from schemas.usage import USAGE_COLUMNS


class SchemaMismatch(ValueError):
    """The writer's schema lacks a required field, or has one of another type."""


def columns_of(event: str) -> pa.Schema:
    """The Arrow columns of `usage_event` or `outcome_event`."""
    return {"usage_event": USAGE_COLUMNS, "outcome_event": OUTCOME_COLUMNS}[event]


@cache
def defaults_of(event: str) -> dict[str, Any]:
    """Field -> default, for the fields of the current schema that have one."""
    fields = json.loads(avro_schema("usage_event" if event == "usage_event" else "outcome_event").text)["fields"]
    return {field["name"]: field["default"] for field in fields if "default" in field}


def align(batch: pa.RecordBatch | pa.Table, event: str) -> pa.Table:
    """Select, order, cast and fill up to the current columns. Raises SchemaMismatch naming the field."""
    target = columns_of(event)
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    if table.schema.equals(target):
        return table
    columns: list[pa.ChunkedArray | pa.Array] = []
    for field in target:
        place = table.schema.get_field_index(field.name)
        if place < 0:
            columns.append(_default(event, field, table.num_rows))
            continue
        column = table.column(place)
        if column.type != field.type:
            try:
                column = column.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise SchemaMismatch(
                    f"field {field.name} is {column.type} in the writer's schema, {field.type} is wanted"
                ) from error
        if not field.nullable and column.null_count:
            raise SchemaMismatch(f"field {field.name} may be null in the writer's schema, a value is required")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=target)


def _default(event: str, field: pa.Field, rows: int) -> pa.Array:
    defaults = defaults_of(event)
    if field.name not in defaults:
        raise SchemaMismatch(f"the writer's schema has no field {field.name}, which is required")
    value = defaults[field.name]
    if isinstance(value, dict):
        return pa.array([list(value.items())] * rows, type=field.type)
    if value is None:
        return pa.nulls(rows, field.type)
    return pa.repeat(pa.scalar(value, type=field.type), rows)
