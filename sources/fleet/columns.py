"""In: calls as codes. Out: the same as USAGE_COLUMNS: each code becomes text by one look-up per column."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.usage import MAX_STRING_BYTES, TIMESTAMP, USAGE_COLUMNS
from sources.fleet.calls import BAD_DEPLOY, Calls, Int64s
from sources.fleet.faults import row_fault
from sources.fleet.numbering import Numbering
from sources.fleet.roles import TeamRole, Workload

_STATUS: Final = ("ok", "error", "cancelled", "refused", "finished")
_ERRORS: Final = (None, "rate_limit_exceeded", "timeout")
_REGULAR_VERSIONS: Final = 20


def id_pool(count: int, random: np.random.Generator, digits: int = 32) -> pa.Array:
    """`count` random ids of that many hex digits, as one Arrow column without a Python string each."""
    text = random.bytes(count * digits // 2).hex().encode()
    offsets = pa.py_buffer(np.arange(0, (count + 1) * digits, digits, dtype=np.int32))
    return pa.StringArray.from_buffers(count, offsets, pa.py_buffer(text))


class UsageColumns:
    """Holds the pools of text; `table(calls)` looks them up. `event_ids`, `traces` by call, `sessions` by session."""

    def __init__(self, numbers: Numbering, event_ids: pa.Array, traces: pa.Array, sessions: pa.Array) -> None:
        self._event_ids, self._traces, self._sessions = event_ids, traces, sessions
        self._people = pa.array(numbers.people, pa.utf8())
        self._teams = pa.array([role.id for role in numbers.roles])
        self._models = {
            "provider": pa.array([model.provider for model in numbers.models]),
            "model": pa.array([model.name for model in numbers.models]),
            "response_model": pa.array([model.answers_as for model in numbers.models], pa.utf8()),
        }
        rows = [_workload_row(role, workload) for role, workload in numbers.workloads]
        self._workloads = {name: pa.array([row[name] for row in rows], pa.utf8()) for name in rows[0]}
        self._prefix_tokens = pa.array(
            [int(one.input_median * one.cache_read) or None for _, one in numbers.workloads], pa.int64()
        )
        versions = [_versions(role, workload) for role, workload in numbers.workloads]
        self._versions = {
            name: pa.array([version[name] for group in versions for version in group], pa.utf8())
            for name in versions[0][0]
        }

    def table(self, calls: Calls) -> pa.Table:
        """One row per call, in the same order. Rows with a text fault get it here."""
        workload = pa.array(calls.workload)
        model = pa.array(calls.model)
        version = pa.array(
            calls.workload.astype(np.int64) * (_REGULAR_VERSIONS + 1) + np.minimum(calls.version, _REGULAR_VERSIONS)
        )
        status = np.where(calls.fault == row_fault("bad_value"), 4, calls.status)
        columns: dict[str, pa.Array] = {
            **{name: pool.take(workload) for name, pool in self._workloads.items()},
            **{name: pool.take(model) for name, pool in self._models.items()},
            **{name: pool.take(version) for name, pool in self._versions.items()},
            "event_id": self._event_ids.take(pa.array(calls.call)),
            "trace_id": self._traces.take(pa.array(calls.call)),
            "session_id": self._sessions.take(pa.array(calls.session)),
            "occurred_at": pa.array(calls.occurred_us).cast(TIMESTAMP),
            "user_id": self._people.take(_codes(calls.person)),
            "team_id": self._teams.take(_codes(calls.claim)),
            "retry_of": self._event_ids.take(_codes(calls.retry_of)),
            "status": pa.array(_STATUS).take(pa.array(status)),
            "error_type": pa.array(_ERRORS).take(pa.array(calls.error)),
            "gateway_cache_hit": pa.array(calls.gateway_hit),
            "prefix_tokens": self._prefix_tokens.take(workload),
            "cache_write_1h_tokens": pa.array(np.zeros(len(calls), np.int64)),
            "input_tokens": pa.array(calls.input),
            "cache_read_tokens": pa.array(calls.cache_read),
            "cache_write_tokens": pa.array(calls.cache_write),
            "output_tokens": pa.array(calls.output),
            "reasoning_tokens": pa.array(calls.reasoning),
            "latency_ms": pa.array(calls.latency),
            "ttft_ms": pa.array(calls.ttft),
            "attempt": pa.array(calls.attempt),
            "tags": _tags(calls.fault == row_fault("tag_not_allowed")),
            "meters": _no_meters(len(calls)),
        }
        too_long = calls.fault == row_fault("too_long")
        if too_long.any():
            texts = columns["prompt_template"].to_pylist()
            for place in np.flatnonzero(too_long):
                texts[place] = "You are a helpful assistant. " * (MAX_STRING_BYTES // 20)
            columns["prompt_template"] = pa.array(texts, pa.utf8())
        rows = len(calls)
        return pa.Table.from_arrays(
            [columns[field.name] if field.name in columns else pa.nulls(rows, field.type) for field in USAGE_COLUMNS],
            schema=USAGE_COLUMNS,
        )


def _workload_row(role: TeamRole, workload: Workload) -> dict[str, str | None]:
    return {
        "source": role.source(workload),
        "project_id": f"{role.id}/{workload.application}" if workload.stage == "production" else None,
        "credential_id": role.credential if workload.attributed_by == "credential" else None,
        "use_case": workload.use_case,
        "workflow": workload.workflow,
        "application": workload.application,
        "stage": workload.stage,
        "data_class": workload.data_class,
        "operation": workload.operation,
        "service_tier": workload.service_tier,
        "route_reason": "default" if workload.gateway_hits else None,
        "client_name": workload.client,
        "client_version": workload.client_version,
    }


def _versions(role: TeamRole, workload: Workload) -> list[dict[str, str | None]]:
    """Deploys of one workload in order; the last is the bad one."""
    versions: list[dict[str, str | None]] = []
    for number in (*range(_REGULAR_VERSIONS), BAD_DEPLOY):
        commit = hashlib.sha256(f"{role.id}/{workload.workflow}/{number}".encode()).hexdigest()
        edition = "9-all-examples" if number == BAD_DEPLOY else str(1 + number // 2)
        template = None if workload.template == "none" else f"{workload.template}@{edition}"
        prefix = hashlib.sha256(f"{role.id}/{template}".encode()).hexdigest()[:16]
        versions.append(
            {
                "workflow_version": commit[:10],
                "prompt_template": template,
                "prefix_hash": prefix if template and workload.cache_read else None,
            }
        )
    return versions


def _codes(codes: npt.NDArray[np.int32] | Int64s) -> pa.Array:
    """Codes with -1 as null, so that looking them up gives null."""
    return pa.array(codes, mask=codes < 0)


def _tags(forbidden: npt.NDArray[np.bool_]) -> pa.Array:
    kind = USAGE_COLUMNS.field("tags").type
    offsets = pa.array(np.concatenate([[0], np.cumsum(forbidden)]).astype(np.int32))
    count = int(forbidden.sum())
    return pa.MapArray.from_arrays(
        offsets,
        pa.repeat("prompt_text", count).cast(kind.key_type),
        pa.repeat("Dear Sir or Madam", count).cast(kind.item_type),
    )


def _no_meters(rows: int) -> pa.Array:
    return pa.MapArray.from_arrays(
        pa.array(np.zeros(rows + 1, np.int32)), pa.array([], pa.utf8()), pa.array([], pa.int64())
    )
