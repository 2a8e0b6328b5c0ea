"""In: decoded events and the broker time of each. Out: the rows that may not pass, each with a code and a sentence.

Every rule is one pass over a column; sentences are written only for the rows that break it. The first rule broken names
the rejection. Nothing is repaired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.control.base import us_moment
from schemas.rejections import RejectionCode
from schemas.usage import (
    CLOSED_SETS,
    INVARIANTS,
    MAX_FUTURE_US,
    MAX_METER,
    MAX_METERS,
    MAX_MILLISECONDS,
    MAX_STRING_BYTES,
    MAX_TAGS,
    MAX_TOKENS,
    MIN_OCCURRED_AT_US,
    TOKEN_COLUMNS,
    USAGE_COLUMNS,
)
from streams.enrich.columns import Ints, ints, whole

Mask = npt.NDArray[np.bool_]

_TEXTS = tuple(column.name for column in USAGE_COLUMNS if pa.types.is_string(column.type))
_REQUIRED_TEXTS = ("event_id", "source", "model")
#: Counts that are no tokens: (column, least, greatest).
_BOUNDED = (
    ("latency_ms", 0, MAX_MILLISECONDS),
    ("ttft_ms", 0, MAX_MILLISECONDS),
    ("attempt", 1, 10_000),
    ("prefix_tokens", 0, MAX_TOKENS),
    ("reported_cost_nanousd", 0, 10**15),
)


@dataclass(slots=True)
class Refusals:
    """Row -> (code, sentence). A row keeps the first that was found."""

    rows: dict[int, tuple[RejectionCode, str]] = field(default_factory=dict)

    def add(self, bad: Mask, code: RejectionCode, sentence: str, **columns: Sequence[object] | Ints) -> None:
        """Refuse the rows of `bad`; `sentence` is a format string over the row's values of `columns`."""
        for row in np.flatnonzero(bad).tolist():
            if row not in self.rows:
                values = {name: column[row] for name, column in columns.items()}
                self.rows[row] = (code, sentence.format(**values))


def validate(table: pa.Table, append_us: Ints, tag_keys: frozenset[str]) -> Refusals:
    """Check all rows. `append_us` is each event's broker time, against which a date in the future is judged."""
    refusals = Refusals()
    if table.num_rows == 0:
        return refusals
    _check_texts(table, refusals)
    _check_times(ints(table, "occurred_at"), append_us, refusals)
    _check_counts(table, refusals)
    _check_sets(table, refusals)
    _check_maps(table, tag_keys, refusals)
    return refusals


def _check_texts(table: pa.Table, refusals: Refusals) -> None:
    for name in _TEXTS:
        column = table.column(name)
        if column.null_count == table.num_rows:
            continue
        lengths = pc.binary_length(column)
        if (pc.max(lengths).as_py() or 0) > MAX_STRING_BYTES:
            sizes = lengths.fill_null(0).to_numpy()
            refusals.add(
                sizes > MAX_STRING_BYTES,
                "too_long",
                f"{name} has {{size}} bytes, at most {MAX_STRING_BYTES} are accepted; prompts and answers never are",
                size=sizes,
            )
        if name in _REQUIRED_TEXTS and pc.min(lengths).as_py() == 0:
            refusals.add(lengths.to_numpy() == 0, "bad_value", f"{name} is empty")


def _check_times(occurred: Ints, append_us: Ints, refusals: Refusals) -> None:
    refusals.add(
        occurred < MIN_OCCURRED_AT_US,
        "too_early",
        "occurred_at {at} is before 2015: it must be microseconds since the epoch",
        at=occurred,
    )
    ahead = occurred > append_us + MAX_FUTURE_US
    if ahead.any():
        refusals.add(
            ahead,
            "too_far_ahead",
            "occurred_at {at} is more than a day ahead of its arrival at {arrival}: check the sender's clock and unit",
            at=[_when(us) for us in occurred.tolist()],
            arrival=[_when(us) for us in append_us.tolist()],
        )


def _check_counts(table: pa.Table, refusals: Refusals) -> None:
    counts = {name: ints(table, name) for name in TOKEN_COLUMNS}
    for name, values in counts.items():
        refusals.add(values < 0, "negative_count", f"{name} is {{value}}", value=values)
        refusals.add(
            values > MAX_TOKENS,
            "absurd_count",
            f"{name} is {{value}}, at most {MAX_TOKENS} tokens are accepted for one call",
            value=values,
        )
    for parts, sum_name in INVARIANTS:
        total = sum((counts[part] for part in parts), np.zeros(table.num_rows, np.int64))
        refusals.add(
            total > counts[sum_name],
            "broken_invariant",
            f"{' + '.join(parts)} is {{total}}, more than {sum_name} {{limit}}, which includes it",
            total=total,
            limit=counts[sum_name],
        )
    for name, least, greatest in _BOUNDED:
        column = table.column(name)
        if column.null_count == table.num_rows:
            continue
        values = column.fill_null(least).to_numpy()
        code: RejectionCode = "negative_count" if least == 0 else "bad_value"
        refusals.add(values < least, code, f"{name} is {{value}}, at least {least} is meant", value=values)
        refusals.add(
            values > greatest, "absurd_count", f"{name} is {{value}}, at most {greatest} is accepted", value=values
        )


def _check_sets(table: pa.Table, refusals: Refusals) -> None:
    for name, accepted in CLOSED_SETS.items():
        column = table.column(name)
        if column.null_count == table.num_rows:
            continue
        known = pc.or_kleene(pc.is_null(column), pc.is_in(column, pa.array(accepted)))
        if not pc.all(known).as_py():
            sentence = f"{name} is {{value!r}}; accepted are {', '.join(accepted)}"
            refusals.add(~known.to_numpy(), "bad_value", sentence, value=column.to_pylist())


def _check_maps(table: pa.Table, tag_keys: frozenset[str], refusals: Refusals) -> None:
    for name, most in (("tags", MAX_TAGS), ("meters", MAX_METERS)):
        maps = whole(table.column(name))
        sizes = np.diff(np.asarray(maps.offsets))
        if not sizes.any():
            continue
        sentence = f"{name} has {{size}} entries, at most {most} are accepted"
        refusals.add(sizes > most, "too_long", sentence, size=sizes)
        for row in np.flatnonzero(sizes).tolist():
            fault = _fault_of(name, maps[row].as_py(), tag_keys)
            if fault is not None:
                refusals.rows.setdefault(row, fault)


def _fault_of(
    name: str, entries: list[tuple[str, str | int]], tag_keys: frozenset[str]
) -> tuple[RejectionCode, str] | None:
    for key, value in entries:
        if len(key.encode()) > MAX_STRING_BYTES:
            return "too_long", f"{name} has a key of {len(key)} characters, {MAX_STRING_BYTES} bytes are accepted"
        if name == "tags" and key not in tag_keys:
            allowed = ", ".join(sorted(tag_keys)) or "none"
            return "tag_not_allowed", f"tag {key!r} is not on the allow-list ({allowed}); enrich.tag_keys adds it"
        if isinstance(value, str) and len(value.encode()) > MAX_STRING_BYTES:
            return "too_long", f"tag {key!r} has {len(value)} characters, {MAX_STRING_BYTES} bytes are accepted"
        if isinstance(value, int) and value < 0:
            return "negative_count", f"meter {key!r} is {value}"
        if isinstance(value, int) and value > MAX_METER:
            return "absurd_count", f"meter {key!r} is {value}, at most {MAX_METER} is accepted"
    return None


def _when(us: int) -> str:
    try:
        return us_moment(us).isoformat(timespec="seconds")
    except OverflowError:
        return f"{us} µs since the epoch"
