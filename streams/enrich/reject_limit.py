"""In: what a batch refuses. Out: nothing, or RejectionLimit before any of it is written: a worker that would
dead-letter everything stops instead.

Refusing is right for a sender's mistake: the events are kept, told, and can be sent again. It is wrong when the mistake
is ours (a registry that is not set, a version that is older than the producers', a rule that hits everybody): then good
events pile up among the dead letters while totals stand still. So, when the *limit* is reached,

- `share` of at least the last `events` events was refused, or `run` events were refused since one last passed,

the cause is looked at. It is taken for ours, and the worker stops, when

- *schemas*: refusals as unknown_schema, schema_mismatch or undecodable reach the limit alone. Nobody's name is on such
  events, so one sender with foreign schemas that drowns all others looks the same; or
- *spread*: more sources fail (refused at `share` or above) than do well. Sources that did well at any time since this
  process started count, since its settings and its version are still the same; events without a readable source
  are one source.

Else it goes on and says so loudly: one service that floods rubbish stops nobody whose events are good.

Counts are of this process. A worker that stops notes it on the intent of its batch, so that the next start, which
repeats the batch, stops again before anything is written, however few events the batch has.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog

from schemas.rejections import Rejection
from schemas.tallies import UNREADABLE_SOURCE
from streams.enrich.batch import BatchResult

_log = structlog.get_logger("enrich")

#: Refusals that are decided by schemas which we or the registry hold.
SCHEMA_CODES: Final = frozenset({"unknown_schema", "schema_mismatch", "undecodable"})
#: Sources remembered as doing well; more say nothing new.
_MOST_SOURCES: Final = 10_000
_TELL_AGAIN_S: Final = 60.0
_SHOWN: Final = 5


class RejectionLimit(RuntimeError):
    """Too much was refused, and it looks like a fault of ours. Nothing of the batch was written."""


@dataclass(frozen=True, slots=True)
class RejectPolicy:
    """`share` of at least `events` events, or `run` in a row; 0 switches either off."""

    share: float
    events: int
    run: int


@dataclass(frozen=True, slots=True)
class _Seen:
    """One batch: events read, refusals by code, and by source what passed and what was refused."""

    read: int
    codes: Counter[str]
    passed: Counter[str]
    refused: Counter[str]


class RejectWatch:
    """One worker's memory of what it refused."""

    def __init__(self, policy: RejectPolicy) -> None:
        self._policy = policy
        self._seen: deque[_Seen] = deque()
        self._read = 0
        self._codes: Counter[str] = Counter()
        #: Events refused since one last passed, and how many of them for their schema.
        self._run = self._schema_run = 0
        self._well: set[str] = set()
        self._told_at = float("-inf")

    def look(self, result: BatchResult, *, repeats_a_stop: bool = False) -> None:
        """Take a batch in before it is written. Raises RejectionLimit.

        `repeats_a_stop`: a predecessor stopped at this very batch, so no minimum of events is waited for.
        """
        policy = self._policy
        seen = _seen(result)
        self._remember(seen)
        refused = seen.codes.total()
        self._run = self._run + refused if refused == seen.read else 0
        self._schema_run = self._schema_run + _of_schemas(seen.codes) if refused == seen.read else 0
        if not refused:
            return
        least = 1 if repeats_a_stop else policy.events
        codes = self._codes
        share_reached = policy.share > 0 and self._read >= least and codes.total() >= policy.share * self._read
        run_reached = policy.run > 0 and (self._run >= policy.run or (repeats_a_stop and self._run > 0))
        if not share_reached and not run_reached:
            return
        by_share = share_reached and _of_schemas(codes) >= policy.share * self._read
        by_run = run_reached and (self._schema_run >= policy.run or (repeats_a_stop and self._schema_run > 0))
        failing = self._failing()
        well = self._well - failing
        rejections = [one for done in result.partitions for one in done.rejections]
        told = _told(codes, self._read, failing, rejections)
        if by_share or by_run:
            raise RejectionLimit(_stop(told, "their schemas are what fails, and those are ours to know", rejections))
        if len(failing) > len(well):
            cause = f"{len(failing)} sources fail and {len(well)} do well in this process"
            raise RejectionLimit(_stop(told, cause, rejections))
        self._go_on(told, well)

    def _remember(self, seen: _Seen) -> None:
        self._seen.append(seen)
        self._read += seen.read
        self._codes += seen.codes
        while self._read - self._seen[0].read >= max(1, self._policy.events):
            gone = self._seen.popleft()
            self._read -= gone.read
            self._codes -= gone.codes
        share = self._policy.share or 1.0
        for source, passed in seen.passed.items():
            if seen.refused[source] < share * (passed + seen.refused[source]) and len(self._well) < _MOST_SOURCES:
                self._well.add(source)

    def _failing(self) -> set[str]:
        """Sources of the last events whose refusals reach the share."""
        passed, refused = Counter[str](), Counter[str]()
        for one in self._seen:
            passed += one.passed
            refused += one.refused
        share = self._policy.share or 1.0
        return {source for source, count in refused.items() if count >= share * (count + passed[source])}

    def _go_on(self, told: str, well: Iterable[str]) -> None:
        now = time.monotonic()
        if now - self._told_at >= _TELL_AGAIN_S:
            self._told_at = now
            _log.error("enrich.many_refused", what=told, going_on_because=f"other sources do well: {_named(well)}")


def _seen(result: BatchResult) -> _Seen:
    rows = result.sources
    read = sum(done.ledger.read for done in result.partitions)
    if not any(done.rejections for done in result.partitions):
        counts = np.bincount(rows.source, weights=rows.calls, minlength=len(rows.names)).astype(np.int64)
        return _Seen(read, Counter(), Counter(dict(zip(rows.names, counts.tolist(), strict=True))), Counter())
    codes, passed, refused = Counter[str](), Counter[str](), Counter[str]()
    for place, code, calls in zip(rows.source.tolist(), rows.codes, rows.calls.tolist(), strict=True):
        if code is None:
            passed[rows.names[place]] += calls
        else:
            refused[rows.names[place]] += calls
            codes[code] += calls
    return _Seen(read, codes, passed, refused)


def _of_schemas(codes: Counter[str]) -> int:
    return sum(count for code, count in codes.items() if code in SCHEMA_CODES)


def _told(codes: Counter[str], read: int, failing: set[str], rejections: Sequence[Rejection]) -> str:
    by_code = ", ".join(f"{code} {count:,}" for code, count in codes.most_common(_SHOWN))
    one = rejections[0]
    return (
        f"{codes.total():,} of the last {read:,} events are refused ({by_code}; from {_named(failing)}), for example "
        f"{one.topic}[{one.partition}] offset {one.offset}: {one.message}"
    )


def _stop(told: str, cause: str, rejections: Sequence[Rejection]) -> str:
    return (
        f"{told}. {cause[0].upper()}{cause[1:]}, so this worker stops before the {len(rejections):,} refusals of its "
        "batch are written; the batch is repeated at the next start. Mend the cause (registry.url, enrich.tag_keys, "
        "this version against the producers') and start again. If they are to be refused, start once with "
        "enrich.reject_limit_share = 0 and enrich.reject_limit_run = 0 (STREAMGAUGE_ENRICH__REJECT_LIMIT_SHARE=0 "
        "STREAMGAUGE_ENRICH__REJECT_LIMIT_RUN=0)"
    )


def _named(sources: Iterable[str]) -> str:
    names = sorted(sources, key=lambda name: (name == UNREADABLE_SOURCE, name))
    shown = ", ".join(name[:80] for name in names[:_SHOWN])
    return (shown or "nobody") + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
