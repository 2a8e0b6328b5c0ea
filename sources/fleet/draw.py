"""In: a team's role, a span of time and a count. Out: its ordinary calls: sessions, tokens, caches, errors and
retries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sources.fleet.calls import (
    CANCELLED,
    ERROR,
    OK,
    RATE_LIMITED,
    REFUSED,
    TIMED_OUT,
    Calls,
    Int32s,
    Int64s,
    concat,
)
from sources.fleet.numbering import Numbering
from sources.fleet.rhythm import DAY_US, arrivals, rate_curve
from sources.fleet.roles import TeamRole

#: A pause longer than this ends a session.
_PAUSE_US: Final = 45 * 60_000_000
#: Every workload is deployed anew about once a week.
_DEPLOY_DAYS: Final = 7
MAX_INPUT: Final = 150_000


@dataclass(frozen=True, slots=True)
class Span:
    """Event time [start, end) in µs, and how many first attempts fall into it.

    `tokens` multiplies those of every call, `pause` the gap that ends a session: both 1 at the fleet's full size.
    """

    start_us: int
    end_us: int
    count: int
    tokens: float = 1.0
    pause: float = 1.0


def draw_team(role: TeamRole, numbers: Numbering, span: Span, random: np.random.Generator) -> Calls:
    """First attempts, and behind them the retries of those that failed. Call and session numbers count from 0."""
    start_us, end_us, count, scale = span.start_us, span.end_us, span.count, span.tokens
    times = arrivals(*rate_curve(start_us, end_us, role.rhythm, role.utc_offset, role.growth, random), count, random)
    lane = random.integers(0, role.lanes, count).astype(np.int32)
    session = _sessions(times, lane, role.calls_per_session, int(_PAUSE_US * span.pause), random)
    sessions = int(session.max()) + 1 if count else 0
    shares = np.array([workload.share for workload in role.workloads])
    of_session = random.choice(len(shares), size=sessions, p=shares / shares.sum())
    local = of_session[session]
    workload = (numbers.first_workload(role.id) + local).astype(np.int32)
    # A person's calls carry the person also where the directory goes by credential.
    person = lane + numbers.first_person(role.id) if role.people else np.full(count, -1)

    def per_workload(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([float(getattr(one, name)) for one in role.workloads])[local]

    spread = np.exp(random.normal(0, 1, count) * per_workload("sigma"))
    input_tokens = np.clip(per_workload("input_median") * spread * scale, 1, MAX_INPUT * scale).astype(np.int64)
    answer = np.exp(random.normal(0, 0.6, count))
    output = (per_workload("output_median") * answer * scale).astype(np.int64)
    # The first call of a session finds a cold cache and writes what the later ones read.
    cold = np.zeros(count, np.bool_)
    cold[np.unique(session, return_index=True)[1]] = True
    hit = per_workload("cache_read") * random.uniform(0.94, 1.04, count)
    read = np.where(cold, 0, input_tokens * hit).astype(np.int64)
    writes = per_workload("cache_write")
    write = np.where(cold & (writes > 0), input_tokens * hit, input_tokens * writes).astype(np.int64)
    write = np.minimum(write, input_tokens - read)
    reasoning = (output * per_workload("reasoning") * random.uniform(0.7, 1.2, count)).astype(np.int64)
    ttft = (220 + input_tokens / scale * 0.03) * np.exp(random.normal(0, 0.35, count))
    latency = ttft + output / scale * 11 * np.exp(random.normal(0, 0.2, count))
    phase = numbers.first_workload(role.id) * 3 % _DEPLOY_DAYS
    calls = Calls(
        call=np.arange(count),
        sent_us=times,
        occurred_us=times,
        workload=workload,
        person=person.astype(np.int32),
        session=session,
        version=(((times - start_us) // DAY_US + phase) // _DEPLOY_DAYS).astype(np.int32),
        model=np.array([numbers.models.index(one.model) for one in role.workloads], np.int32)[local],
        input=input_tokens,
        cache_read=read,
        cache_write=write,
        output=output,
        reasoning=np.minimum(reasoning, output),
        latency=latency.astype(np.int64),
        ttft=ttft.astype(np.int64),
        status=np.full(count, OK, np.int8),
        error=np.zeros(count, np.int8),
        attempt=np.ones(count, np.int64),
        retry_of=np.full(count, -1),
        claim=_claims(role, numbers, local, random),
        gateway_hit=random.random(count) < per_workload("gateway_hits"),
        fault=np.zeros(count, np.int8),
    )
    return _with_failures(calls, per_workload("error_rate"), end_us, random)


def _sessions(times: Int64s, lane: Int32s, length: int, pause_us: int, random: np.random.Generator) -> Int64s:
    """A session number per call: one lane's consecutive calls, until a pause or by chance after `length` calls on
    average.
    """
    order = np.lexsort((times, lane))
    new = random.random(len(times)) < 1 / length
    new[1:] |= (lane[order][1:] != lane[order][:-1]) | (np.diff(times[order]) > pause_us)
    new[:1] = True
    session = np.empty(len(times), np.int64)
    session[order] = np.cumsum(new) - 1
    return session


def _claims(role: TeamRole, numbers: Numbering, local: Int64s, random: np.random.Generator) -> Int32s:
    """The claimed team per call. Some people of `mobile` still report under the team that they left."""
    own = np.array([numbers.team(role.id) if one.claims_team else -1 for one in role.workloads], np.int32)[local]
    if role.id == "mobile":
        own[random.random(len(own)) < 0.01] = numbers.team("marketing-content")
    return own


def _with_failures(
    calls: Calls, error_rate: np.ndarray[tuple[int], np.dtype[np.float64]], end_us: int, random: np.random.Generator
) -> Calls:
    """Some calls fail, are cancelled or refused; most failures are tried again a few seconds later."""
    count = len(calls)
    luck = random.random(count)
    status, error = calls.status.copy(), calls.error.copy()
    failed = luck < error_rate
    limited = failed & (random.random(count) < 0.6)
    status[failed] = ERROR
    error[failed] = TIMED_OUT
    error[limited] = RATE_LIMITED
    status[(luck > 0.997) & (luck <= 0.999)] = CANCELLED
    status[luck > 0.999] = REFUSED
    billed, answered = ~limited, ~failed
    first = calls.with_columns(
        status=status,
        error=error,
        input=calls.input * billed,
        cache_read=calls.cache_read * billed,
        cache_write=calls.cache_write * billed,
        output=calls.output * answered,
        reasoning=calls.reasoning * answered,
    )
    again = np.flatnonzero(failed & (random.random(count) < 0.75))
    retry = calls.take(again)
    later = retry.occurred_us + random.integers(2_000_000, 20_000_000, len(again))
    retry = retry.with_columns(
        call=count + np.arange(len(again)),
        sent_us=later,
        occurred_us=later,
        attempt=np.full(len(again), 2),
        retry_of=retry.call,
    )
    return concat([first, retry.take(later < end_us)])
