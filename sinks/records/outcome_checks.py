"""In: decoded outcome events. Out: which rows may not pass, each with a code and a sentence that has the value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.rejections import RejectionCode
from schemas.usage import MAX_FUTURE_US, MAX_STRING_BYTES, MIN_OCCURRED_AT_US

INCIDENTS: Final = ("compliance", "safety")
_NEEDED: Final = ("outcome_id", "source", "team_id", "use_case", "kind")
_NOT_NEGATIVE: Final = ("cycle_time_s", "minutes_saved", "baseline_cycle_time_s", "baseline_cost_nanousd")
_FINITE: Final = ("quality", "cycle_time_s", "minutes_saved", "baseline_cycle_time_s")

_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Breach:
    """Row `row` may not pass."""

    row: int
    code: RejectionCode
    sentence: str


@dataclass(frozen=True, slots=True)
class _Check:
    """Rows where `refused` is true break it; `sentence` is told the value of `column` there."""

    column: str
    refused: _Mask
    code: RejectionCode
    sentence: Callable[[Any], str]


def breaches(table: pa.Table, appended_us: npt.NDArray[np.int64]) -> list[Breach]:
    """At most one per row, the first that holds. `appended_us`: broker time of each row's message."""
    found: dict[int, Breach] = {}
    for check in _checks(table, appended_us):
        for row in np.flatnonzero(check.refused).tolist():
            if row not in found:
                found[row] = Breach(row, check.code, check.sentence(_value(table[check.column][row])))
    return [found[row] for row in sorted(found)]


def _value(scalar: pa.Scalar) -> Any:
    """As Python has it; a moment outside of the calendar as its microseconds."""
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return f"{scalar.cast(pa.int64()).as_py()} µs"


def _checks(table: pa.Table, appended_us: npt.NDArray[np.int64]) -> Iterator[_Check]:
    for name in _NEEDED:
        yield _Check(name, _where(pc.equal(table[name], "")), "missing_field", _telling(f"{name} is empty"))
    for field in table.schema:
        if pa.types.is_string(field.type):
            too_long = _where(pc.greater(pc.binary_length(table[field.name]), MAX_STRING_BYTES))
            yield _Check(
                field.name, too_long, "too_long", _telling(f"{field.name} has more than {MAX_STRING_BYTES} bytes")
            )
    when = np.asarray(table["occurred_at"].cast(pa.int64()))
    early = _telling("occurred_at {} lies before 2015: send microseconds since the epoch")
    yield _Check("occurred_at", when < MIN_OCCURRED_AT_US, "too_early", early)
    ahead = _telling("occurred_at {} lies more than a day ahead of the broker's clock")
    yield _Check("occurred_at", when > appended_us + MAX_FUTURE_US, "too_far_ahead", ahead)
    for name in _NOT_NEGATIVE:
        zero = pa.scalar(0).cast(table.schema.field(name).type)
        negative = _where(pc.less(table[name], zero))
        yield _Check(name, negative, "bad_value", _telling(f"{name} is {{}}: it cannot be negative"))
    for name in _FINITE:
        endless = _where(pc.invert(pc.is_finite(table[name])))
        yield _Check(name, endless, "bad_value", _telling(f"{name} is {{}}: it must be a finite number"))
    unnamed = _where(pc.and_(pc.is_valid(table["quality"]), pc.is_null(table["quality_kind"])))
    yield _Check(
        "quality", unnamed, "broken_invariant", _telling("quality is {} without a quality_kind that names its scale")
    )
    foreign = _where(pc.invert(pc.is_in(table["incident"], value_set=pa.array([*INCIDENTS, None], pa.utf8()))))
    yield _Check("incident", foreign, "bad_value", _telling(f"incident is {{!r}}: accepted are {', '.join(INCIDENTS)}"))


def _telling(sentence: str) -> Callable[[Any], str]:
    return sentence.format


def _where(condition: Any) -> _Mask:
    """A null is not a breach."""
    return np.asarray(pc.fill_null(condition, False))
