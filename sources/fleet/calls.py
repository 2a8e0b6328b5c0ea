"""In: nothing. Out: calls as numpy columns of codes: what the files of this folder hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Int8s = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]

OK, ERROR, CANCELLED, REFUSED = range(4)
RATE_LIMITED, TIMED_OUT = 1, 2
#: `version` of a call in its workload's ordinary run; a planted bad deploy has its own.
BAD_DEPLOY = 99


@dataclass(frozen=True, slots=True)
class Calls:
    """One row per event; every column has the same length.

    `call` numbers the event (resends share it); `sent_us` orders the sending, `occurred_us` is event time. `workload`
    counts through all workloads of all roles, `person` through all members (-1: none), `model` through all models.
    `retry_of`, `claim`: a call, a team, or -1. `fault`: 0, or the place of a row fault in `faults.ROW_FAULTS` plus 1.
    """

    call: Int64s
    sent_us: Int64s
    occurred_us: Int64s
    workload: Int32s
    person: Int32s
    session: Int64s
    version: Int32s
    model: Int32s
    input: Int64s
    cache_read: Int64s
    cache_write: Int64s
    output: Int64s
    reasoning: Int64s
    latency: Int64s
    ttft: Int64s
    status: Int8s
    error: Int8s
    attempt: Int64s
    retry_of: Int64s
    claim: Int32s
    gateway_hit: Bools
    fault: Int8s

    def __len__(self) -> int:
        return len(self.call)

    def take(self, rows: Int64s | Bools) -> Calls:
        """The rows at these places, or where True."""
        return Calls(*(getattr(self, field.name)[rows] for field in fields(self)))

    def with_columns(self, **columns: npt.NDArray[np.generic]) -> Calls:
        """The same calls with some columns replaced."""
        return replace(self, **columns)  # type: ignore[arg-type]  # a typo raises TypeError


def concat(parts: list[Calls]) -> Calls:
    """All rows of all parts, in order."""
    return Calls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Calls)))
