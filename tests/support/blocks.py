"""Row counts and dates in; enriched Arrow tables, and the messages of source ranges as enrich writes them, out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.enriched import ENRICHED
from schemas.positions import Headers, LedgerRow, SourceRange, version_header

#: Monday 2026-03-02 12:00 UTC in µs.
NOON_US: Final = 1_772_452_800_000_000
_TEAMS: Final = ("payments", "search", "support", "risk", "data")
_MODELS: Final = ("claude-sonnet-4-5", "gpt-5-mini", "gemini-2.5-pro")


def us(year: int, month: int, day: int, hour: int = 12) -> int:
    """UTC wall time as µs since the epoch."""
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) * 1_000_000


def default_of(field: pa.Field, rows: int) -> pa.Array:
    """A column of what stands in a field when a test does not care: null, zero, false, empty."""
    if field.nullable:
        return pa.nulls(rows, field.type)
    if pa.types.is_map(field.type):
        return pa.array([{}] * rows, field.type)
    if pa.types.is_boolean(field.type):
        return pa.repeat(pa.scalar(False), rows)
    if pa.types.is_integer(field.type):
        return pa.repeat(pa.scalar(0, field.type), rows)
    return pa.repeat(pa.scalar("", pa.utf8()), rows)


def enriched_table(rows: int, *, partition: int = 0, first: int = 0, **columns: Any) -> pa.Table:
    """`rows` accepted events from offset `first` on, one message each; `columns`: sequences, or one value for all."""
    offsets = np.arange(first, first + rows)
    given: dict[str, Any] = {
        "src_partition": partition,
        "src_offset": offsets,
        "ingested_at": NOON_US + offsets,
        "occurred_at": NOON_US + offsets,
        "event_id": pc.binary_join_element_wise(f"e{partition}-", pc.cast(pa.array(offsets), pa.utf8()), ""),
        "source": "gateway",
        "model": _MODELS[0],
        "team_id": _TEAMS[0],
        "attribution": "credential",
        "status": "ok",
        "attempt": 1,
        "price_status": "priced",
        "rate_card": "2026-03",
        **columns,
    }
    arrays = []
    for field in ENRICHED:
        value = given.get(field.name)
        if field.name not in given:
            arrays.append(default_of(field, rows))
        elif isinstance(value, pa.Array):
            arrays.append(value.cast(field.type))
        elif isinstance(value, np.ndarray):
            arrays.append(pa.array(value).cast(field.type))
        elif isinstance(value, list):
            arrays.append(pa.array(value, field.type))
        else:
            arrays.append(pa.repeat(pa.scalar(value, field.type), rows))
    return pa.Table.from_arrays(arrays, schema=ENRICHED)


def busy_table(rows: int, *, partition: int = 0, first: int = 0, seed: int = 0) -> pa.Table:
    """Rows as a busy company makes them: many distinct ids, skewed tokens, most columns filled. For measuring."""
    rng = np.random.default_rng(seed)

    def pick(values: Sequence[str]) -> pa.Array:
        return pa.array(values).take(pa.array(rng.integers(0, len(values), rows)))

    def ids(prefix: str, distinct: int) -> pa.Array:
        return pc.binary_join_element_wise(prefix, pc.cast(pa.array(rng.integers(0, distinct, rows)), pa.utf8()), "")

    tokens = rng.lognormal(7, 1.2, rows).astype(np.int64) + 50
    output = rng.lognormal(5, 1, rows).astype(np.int64) + 1
    cached = (tokens * rng.random(rows) * 0.6).astype(np.int64)
    cost = tokens * 3_000 + output * 15_000 - cached * 2_700
    hexes = pa.array([f"{a:016x}{b:016x}" for a, b in rng.integers(0, 2**63, (rows, 2))])
    return enriched_table(
        rows,
        partition=partition,
        first=first,
        event_id=hexes,
        occurred_at=NOON_US + np.sort(rng.integers(0, 60_000_000, rows)),
        source=pick([f"gateway-{n}" for n in range(8)]),
        team_id=ids("team-", 200),
        project_id=ids("project-", 500),
        credential_id=ids("key-", 1_000),
        use_case=ids("use-case-", 40),
        workflow=ids("workflow-", 100),
        workflow_version=ids("2026.3.", 20),
        prompt_template=ids("template-", 100),
        application=ids("app-", 20),
        stage=pick(["production", "exploratory"]),
        data_class="internal",
        provider=pick(["anthropic", "openai", "google"]),
        model=pick(_MODELS),
        response_model=pick(_MODELS),
        operation="chat",
        service_tier="standard",
        route_reason="default",
        input_tokens=tokens,
        cache_read_tokens=cached,
        output_tokens=output,
        reasoning_tokens=output // 2,
        latency_ms=output * 20,
        ttft_ms=rng.integers(100, 2_000, rows),
        prompt_hash=hexes,
        prefix_hash=ids("prefix-", 1_000),
        prefix_tokens=cached,
        trace_id=hexes,
        session_id=ids("session-", 20_000),
        provider_request_id=pc.binary_join_element_wise("req_", hexes, ""),
        client_name="sdk",
        client_version="1.2.3",
        user_hash=ids("user-hash-0123456789-", 5_000),
        claimed_team_id=ids("team-", 200),
        department=ids("department-", 20),
        cost_center=ids("cc-", 30),
        model_class=pick(["frontier", "small"]),
        cost_nanousd=cost,
        input_cost_nanousd=tokens * 3_000,
        cache_read_cost_nanousd=cached * 300,
        cache_write_cost_nanousd=0,
        output_cost_nanousd=output * 15_000,
        price_key=pick(_MODELS),
        price_context="standard",
    )


def block_bytes(table: pa.Table) -> bytes:
    """One Arrow IPC stream with lz4-compressed buffers, as on `usage.enriched`."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return sink.getvalue()


def ledger_of(table: pa.Table | None, source: SourceRange, **changes: Any) -> LedgerRow:
    """The ledger row of a range whose offsets held one event each; what is not enriched counts as duplicates."""
    rows = 0 if table is None else table.num_rows
    read = source.next - source.first
    values: dict[str, Any] = {
        "partition": source.partition,
        "first": source.first,
        "next": source.next,
        "read": read,
        "enriched": rows,
        "duplicates": read - rows,
        "rejected": 0,
        "late": 0,
        "input_tokens": _sum(table, "input_tokens"),
        "output_tokens": _sum(table, "output_tokens"),
        "cost_nanousd": _sum(table, "cost_nanousd"),
        "unpriced": 0 if table is None else table["cost_nanousd"].null_count,
        "unattributed": 0,
        "min_event_us": None if not rows else NOON_US,
        "max_event_us": None if not rows else NOON_US,
        "append_us": NOON_US,
        "card": "2026-03",
        "control": 0,
        **changes,
    }
    return LedgerRow(**values)


def _sum(table: pa.Table | None, name: str) -> int:
    return 0 if table is None else (pc.sum(table[name]).as_py() or 0)


@dataclass(frozen=True, slots=True)
class BlockMessage:
    """One message for `usage.enriched`: its value and headers."""

    value: bytes
    headers: Headers


def range_messages(table: pa.Table | None, source: SourceRange, parts: int = 1, **ledger: Any) -> list[BlockMessage]:
    """The messages of one range: its table in `parts`, the ledger row on the first; None: a range without rows."""
    row = ledger_of(table, source, **ledger)
    messages = []
    for part in range(parts):
        value = b""
        if table is not None:
            low, high = table.num_rows * part // parts, table.num_rows * (part + 1) // parts
            value = block_bytes(table.slice(low, high - low))
        place = SourceRange(source.partition, source.first, source.next, part, parts)
        headers: Headers = [version_header(), place.header(), *([row.header()] if part == 0 else [])]
        messages.append(BlockMessage(value, headers))
    return messages
