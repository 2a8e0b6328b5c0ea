"""In: a fleet. Out: the alerts of a real shard of the agents that was offered its tallies as enrich would send them.

Only the contract is used: messages with cell rows and marks in, alerts out. A message ends every five minutes of event
time, and every minute when an incident begins; the watermark follows two minutes behind, as enrich's does by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from benchmarks.spikes.clock import START, START_MINUTE
from benchmarks.spikes.fleet import ON_TIME_MINUTES, Fleet, team_name
from benchmarks.spikes.labels import ALIASES, Raised
from benchmarks.spikes.traffic import CACHE_READ, CACHE_WRITE, CALLS, CLASSES, COST, ERRORS, INPUT, OUTPUT, Rows
from schemas.alerts import Alert
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Scope
from schemas.control.records import record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.positions import Mark, SourceRange
from schemas.tallies import MEASURES, TALLIES
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Shard
from streams.agents.tally_message import TallyMessage

_MINUTE_US: Final = 60_000_000
_COLUMNS: Final = {
    "calls": CALLS,
    "errors": ERRORS,
    "input_tokens": INPUT,
    "cache_read_tokens": CACHE_READ,
    "cache_write_tokens": CACHE_WRITE,
    "output_tokens": OUTPUT,
    "cost_nanousd": COST,
}
#: What an alert says within so many minutes of its first state is what somebody on call reads.
_READ_MINUTES: Final = 30
_SHOWN_MINUTES: Final = 5_040
_ROWS_AT_ONCE: Final = 200_000


def control_of(fleet: Fleet) -> ControlSnapshot:
    """Announced work, as documents."""
    records = [
        PlannedActivity(
            id=f"plan-{number}",
            scope=Scope(team=team_name(plan.team), use_case=plan.use_case),
            what=plan.what,
            owner="somebody",
            starts_at=START + timedelta(minutes=plan.begins),
            ends_at=START + timedelta(minutes=plan.end),
        )
        for number, plan in enumerate(fleet.plans)
    ]
    keyed = {record_key(record): record for record in records}
    return ControlSnapshot(len(keyed), keyed, {key: at for at, key in enumerate(keyed)})


def alerts_of(fleet: Fleet, progress: Callable[[int], None] | None = None) -> list[tuple[int, Alert]]:
    """(minute of the newest event that the shard had seen, alert), in the order in which they came. `progress` is told
    the minute twice a week.
    """
    shard, control, found = Shard(0, Counts(1, 1), AgentsConfig()), control_of(fleet), []
    for number, (minute, table) in enumerate(messages(fleet)):
        newest_us = (START_MINUTE + minute) * _MINUTE_US
        mark = Mark("range", newest_us - ON_TIME_MINUTES * _MINUTE_US, newest_us, newest_us, control.position)
        outcome = shard.offer(TallyMessage(number, SourceRange(0, number, number + 1), mark, table))
        if outcome != "applied":
            raise RuntimeError(f"message {number} was not applied: {outcome}")
        shard.judge(newest_us, control)
        if progress is not None and minute % _SHOWN_MINUTES == ON_TIME_MINUTES:
            progress(minute)
        if shard.unsent or number % 288 == 0:
            found += [(minute, alert) for alert in shard.conclude(newest_us).alerts if alert.kind == "spike"]
    return found


def messages(fleet: Fleet) -> Iterator[tuple[int, pa.Table | None]]:
    """(minute up to which everything has arrived, rows)."""
    ends = _ends(fleet)
    cuts = np.searchsorted(fleet.arrival, ends)
    begin = first = 0
    table = _table(fleet, 0, 0)
    for end, cut in zip(ends, cuts, strict=True):
        if cut > first + table.num_rows:
            first = begin
            table = _table(fleet, first, max(min(first + _ROWS_AT_ONCE, len(fleet.arrival)), int(cut)))
        yield int(end), table.slice(begin - first, cut - begin) if cut > begin else None
        begin = int(cut)


def _ends(fleet: Fleet) -> np.ndarray:
    last = fleet.weeks * 7 * 1_440
    # A bucket closes when the watermark has passed it.
    ends = [np.arange(5 + ON_TIME_MINUTES, last, 5)]
    ends += [np.arange(max(one.begins, 1), one.begins + 12) for one in fleet.incidents]
    ends += [np.arange(max(plan.begins, 1), plan.begins + 12) for plan in fleet.plans]
    found: np.ndarray = np.unique(np.concatenate(ends))
    return found[found < last]


def _table(fleet: Fleet, first: int, last: int) -> pa.Table:
    span = slice(first, last)
    minute = fleet.minute[span]
    return cells(
        names([team_name(team) for team in range(fleet.teams)], fleet.team[span]),
        names(list(fleet.use_cases), fleet.use_case[span]),
        Rows(minute + START_MINUTE, fleet.model_class[span], fleet.sums[span]),
        fleet.arrival[span] > minute + ON_TIME_MINUTES,
    )


def cells(team: pa.Array, use_case: pa.Array, rows: Rows, late: np.ndarray) -> pa.Table:
    """Cell rows as enrich sends them. Minutes since the epoch; `late`[n]: whether the row comes after its time."""
    n = len(rows.minute)
    columns: dict[str, pa.Array] = {
        "team_id": team,
        "use_case": use_case,
        "model_class": names(list(CLASSES), rows.model_class),
        "minute": pa.array(rows.minute.astype(np.int32)),
        "late": pa.array(np.where(late, rows.sums[:, CALLS], 0)),
    }
    columns |= {name: pa.array(np.ascontiguousarray(rows.sums[:, at])) for name, at in _COLUMNS.items()}
    empty = {
        field.name: pa.array(np.zeros(n, np.int64)) if field.name in MEASURES else pa.nulls(n, field.type)
        for field in TALLIES
        if field.name not in columns
    }
    return pa.table({**columns, **empty}).select(TALLIES.names).cast(TALLIES)


def names(of: list[str], numbers: np.ndarray) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(numbers), pa.array(of)).cast(pa.utf8())


def raised(alerts: list[tuple[int, Alert]]) -> list[Raised]:
    """One for each alert that fired, with what it said within half an hour."""
    fired: dict[str, int] = {}
    told: dict[str, Alert] = {}
    pages: dict[str, bool] = {}
    for minute, alert in alerts:
        if alert.state == "firing" and not alert.historical:
            fired.setdefault(alert.alert_id, minute)
        began = fired.get(alert.alert_id)
        if began is None or alert.state == "resolved" or minute > began + _READ_MINUTES:
            continue
        told[alert.alert_id] = alert
        # A later state may make a page of what was for information, never the other way round.
        page = alert.activity is None and alert.severity != "info"
        pages[alert.alert_id] = pages.get(alert.alert_id, False) or page
    found = []
    for name, minute in fired.items():
        alert = told[name]
        causes = sorted((cause for cause in alert.explanation if cause.dimension is None), key=lambda one: -one.share)
        use_case = alert.scope.use_case
        if use_case is None and alert.carried_by and alert.carried_by[0].dimension == "use_case":
            use_case = alert.carried_by[0].factor
        found.append(
            Raised(
                team=int((alert.scope.team or "team--1").removeprefix("team-")),
                minute=minute,
                use_case=use_case,
                causes=tuple(ALIASES.get(cause.factor, cause.factor) for cause in causes),
                name=alert.incident,
                page=pages[name],
            )
        )
    return found
