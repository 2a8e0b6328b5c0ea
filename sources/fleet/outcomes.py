"""In: calls with their sessions. Out: what the sessions led to, as OUTCOME_COLUMNS ordered by time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from schemas.outcomes import OUTCOME_COLUMNS
from schemas.usage import TIMESTAMP
from sources.fleet.calls import Calls, Int64s
from sources.fleet.columns import id_pool
from sources.fleet.numbering import Numbering
from sources.fleet.roles import OutcomePlan, TeamRole, Workload

_NANO = 1_000_000_000


def draw_outcomes(
    calls: Calls, numbers: Numbering, sessions: pa.Array, end_us: int, random: np.random.Generator
) -> pa.Table:
    """At most one outcome per session, known before `end_us`. `sessions`: the session ids by session number."""
    first, last, workload = _spans(calls)
    parts = []
    for place, (role, plan) in enumerate(numbers.workloads):
        if plan.outcome is None:
            continue
        chosen = np.flatnonzero((workload == place) & (random.random(len(workload)) < plan.outcome.per_session))
        part = _of_workload(role, plan, plan.outcome, chosen, first[chosen], last[chosen], sessions, random)
        parts.append(part)
    table = pa.concat_tables(parts)
    known = table.filter(pa.array(table.column("occurred_at").cast(pa.int64()).to_numpy() < end_us))
    return known.sort_by([("occurred_at", "ascending"), ("outcome_id", "ascending")]).combine_chunks()


def _spans(calls: Calls) -> tuple[Int64s, Int64s, Int64s]:
    """First and last time of each session, and its workload (-1: no calls)."""
    count = int(calls.session.max()) + 1
    first = np.full(count, np.iinfo(np.int64).max)
    last = np.zeros(count, np.int64)
    workload = np.full(count, -1)
    np.minimum.at(first, calls.session, calls.occurred_us)
    np.maximum.at(last, calls.session, calls.occurred_us)
    workload[calls.session] = calls.workload
    return first, last, workload


def _of_workload(
    role: TeamRole,
    workload: Workload,
    plan: OutcomePlan,
    session: Int64s,
    first: Int64s,
    last: Int64s,
    sessions: pa.Array,
    random: np.random.Generator,
) -> pa.Table:
    count = len(session)
    wait_us = (random.exponential(plan.hours, count) * 3.6e9).astype(np.int64)
    succeeded = random.random(count) < plan.success
    mean, spread = plan.quality
    quality = np.clip(random.normal(mean, spread, count) - np.where(succeeded, 0, 2 * spread), *plan.quality_range)
    ids = id_pool(count, random, 24)
    prefix = {"change_merged": "PR", "ticket_resolved": "T", "lead_qualified": "L"}.get(plan.kind, "D")
    incident = np.where(random.random(count) < 0.002, 0, -1)
    columns: dict[str, Any] = {
        "outcome_id": ids,
        "source": pa.repeat(f"{role.department}-records", count),
        "occurred_at": pa.array(last + wait_us).cast(TIMESTAMP),
        "team_id": pa.repeat(role.id, count),
        "use_case": pa.repeat(workload.use_case, count),
        "workflow": pa.repeat(workload.workflow, count),
        "kind": pa.repeat(plan.kind, count),
        "succeeded": pa.array(succeeded),
        "quality": pa.array(np.round(quality, 3)),
        "quality_kind": pa.repeat(plan.quality_kind, count),
        "cycle_time_s": pa.array(np.round((last + wait_us - first) / 1e6, 1)),
        "minutes_saved": pa.array(
            np.round(np.where(succeeded, plan.minutes_saved * random.uniform(0.6, 1.4, count), 0), 1)
        ),
        "value_nanousd": pa.array(np.where(succeeded, int(plan.value_usd * _NANO), 0)),
        "incident": pa.array(["compliance"]).take(pa.array(incident, mask=(incident < 0) | succeeded)),
        "baseline_cost_nanousd": pa.array(np.full(count, int(plan.baseline_usd * _NANO))),
        "baseline_cycle_time_s": pa.array(np.full(count, plan.baseline_hours * 3600.0)),
        "session_id": sessions.take(pa.array(session)),
        "reference": pa.array([f"{prefix}-{1000 + number}" for number in session.tolist()], pa.utf8()),
    }
    return pa.Table.from_arrays(
        [columns[field.name] if field.name in columns else pa.nulls(count, field.type) for field in OUTCOME_COLUMNS],
        schema=OUTCOME_COLUMNS,
    )
