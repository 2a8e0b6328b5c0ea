"""In: the facts of a batch and its judgements. Out: the policy rows of a tally: by hour, what each rule made of its
calls, and what is told of all calls.

Calls in order need one row for each rule and hour; those that are not also tell whose they are. All calls are summed by
what tells them apart first, so that no facet has to go through the batch again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.control.policies import UNKNOWN_DATA_CLASS, VIOLATIONS
from schemas.enriched import UNATTRIBUTED
from schemas.tallies import ALL_CALLS, FACETS, MEASURES, TALLIES
from streams.enrich.columns import Ints, whole
from streams.enrich.facts import Facts
from streams.enrich.groups import Index, Names, keys_of, sum_groups
from streams.enrich.policy.columns import Judged, distinct

_HOUR: Final = 60
#: Integers below 2 to this power are whole numbers in floating point too.
_WHOLE_BITS: Final = 53
_HALF: Final = 32
#: What is told of calls that are not in order.
_DIMENSIONS: Final = ("team_id", "department", "use_case", "stage", "model_class", "workflow")

_Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PolicyRows:
    """`table` are TALLIES rows; `partition` and `rules` have one entry for each: the input partition and the rule."""

    table: pa.Table
    partition: Ints
    rules: list[str]


def policy_rows(facts: Facts, judged: Judged) -> PolicyRows:
    """All policy rows of a batch."""
    unattributed = _truths(pc.equal(facts.table.column("attribution"), UNATTRIBUTED))
    unpriced = _truths(pc.is_null(facts.table.column("cost_nanousd")))
    hour = facts.minute // _HOUR * _HOUR
    keys = keys_of(
        [facts.partition, hour, judged.codes, unattributed.astype(np.int64), unpriced.astype(np.int64)], len(hour)
    )
    rows, sums = _sum_few(keys, facts.sums)
    all_calls = _Summed(facts.partition[rows], hour[rows], sums)
    groups = Judged(judged.codes[rows], judged.judgements)
    known = groups.where(lambda one: one.verdict is not None)
    facets: dict[str, _Truths] = {
        "all": np.ones(len(rows), bool),
        "governed": known,
        "unattributed": unattributed[rows],
        "unpriced": unpriced[rows],
        "violations": groups.where(lambda one: one.verdict in VIOLATIONS),
        "unregistered": groups.where(lambda one: one.is_unregistered),
    }
    parts = [_facet(all_calls.among(mask), facet) for facet, mask in facets.items() if mask.any()]
    high_risk = judged.where(lambda one: one.is_high_risk_approved)
    if high_risk.any():
        places = np.flatnonzero(high_risk)
        workflow = Names.of(whole(facts.table.column("workflow")).take(pa.array(places)))
        calls = _Summed(facts.partition[places], hour[places], facts.sums[:, places])
        parts.append(_facet(calls, FACETS[-1], workflow))
    in_order = groups.where(lambda one: one.verdict == "allowed")
    if in_order.any():
        parts.append(_in_order(all_calls.among(in_order), groups.codes[in_order], judged))
    not_in_order = np.flatnonzero(judged.where(lambda one: one.verdict not in (None, "allowed")))
    if len(not_in_order):
        parts.append(_not_in_order(facts, hour, not_in_order, judged))
    return PolicyRows(
        pa.concat_tables([part.table for part in parts]),
        np.concatenate([part.partition for part in parts]),
        [rule for part in parts for rule in part.rules],
    )


@dataclass(frozen=True, slots=True)
class _Summed:
    """Sums (measures × n) by input partition and hour, and by whatever else was told apart."""

    partition: Ints
    hour: Ints
    sums: Ints

    def among(self, mask: _Truths) -> _Summed:
        return _Summed(self.partition[mask], self.hour[mask], self.sums[:, mask])

    def grouped(self, *more: Ints) -> tuple[Index, _Summed]:
        """A row of each group of partition, hour and `more`, and the sums of the groups."""
        rows, sums = sum_groups(keys_of([self.partition, self.hour, *more], len(self.hour)), self.sums)
        return rows, _Summed(self.partition[rows], self.hour[rows], sums)


def _facet(calls: _Summed, facet: str, workflow: Names | None = None) -> PolicyRows:
    rows, summed = calls.grouped(*([] if workflow is None else [workflow.codes]))
    count = len(rows)
    texts = {} if workflow is None else {"workflow": workflow.take(rows).column()}
    return _rows(summed, [ALL_CALLS] * count, [facet] * count, texts)


def _in_order(calls: _Summed, codes: Ints, judged: Judged) -> PolicyRows:
    rule, texts = _coded(judged, codes)
    rows, summed = calls.grouped(rule)
    rules = [texts[code][1] for code in rule[rows].tolist()]
    return _rows(summed, rules, ["allowed"] * len(rows), {})


def _not_in_order(facts: Facts, hour: Ints, places: Index, judged: Judged) -> PolicyRows:
    taken = facts.table.select([*_DIMENSIONS, "data_class"]).take(pa.array(places))
    names = {name: Names.of(taken.column(name)) for name in _DIMENSIONS}
    finding, texts = _coded(judged, judged.codes[places])
    # What nobody knows is asked for by its name; of other rules it tells nothing.
    unknown = np.array([rule == UNKNOWN_DATA_CLASS for _, rule in texts], bool)[finding]
    subject = Names.of(pc.if_else(pa.array(unknown), whole(taken.column("data_class")), pa.scalar(None, pa.utf8())))
    calls = _Summed(facts.partition[places], hour[places], facts.sums[:, places])
    rows, summed = calls.grouped(finding, subject.codes, *(one.codes for one in names.values()))
    columns = {name: one.take(rows).column() for name, one in names.items()} | {"sub_key": subject.take(rows).column()}
    found = [texts[code] for code in finding[rows].tolist()]
    return _rows(summed, [rule for _, rule in found], [verdict for verdict, _ in found], columns)


def _coded(judged: Judged, codes: Ints) -> tuple[Ints, list[tuple[str, str]]]:
    """Verdict and rule of each row as a code, and the texts of the codes: judgements that differ in nothing else are
    one.
    """
    found: list[tuple[str, str]] = [(one.verdict or "", one.rule or "") for one in judged.judgements]
    texts = sorted(set(found))
    place = {text: code for code, text in enumerate(texts)}
    return np.array([place[one] for one in found], np.int64)[codes], texts


def _rows(summed: _Summed, rules: list[str], verdicts: Sequence[str], texts: dict[str, pa.Array]) -> PolicyRows:
    columns = {
        "minute": pa.array(summed.hour.astype(np.int32)),
        "policy_rule": pa.array(rules, pa.utf8()),
        "policy_verdict": pa.array(verdicts, pa.utf8()),
        **texts,
        **{name: pa.array(values) for name, values in zip(MEASURES, summed.sums, strict=True)},
    }
    count = len(rules)
    table = pa.Table.from_arrays(
        [columns.get(field.name, pa.nulls(count, field.type)) for field in TALLIES], schema=TALLIES
    )
    return PolicyRows(table, summed.partition, rules)


def _sum_few(keys: Ints, measures: Ints) -> tuple[Ints, Ints]:
    """As `sum_groups`, where there are few groups: nothing is sorted. Sums are counted in floating point as long as
    they stay whole there, by their two halves otherwise.
    """
    rows, of = distinct(keys)
    sums = np.empty((len(measures), len(rows)), np.int64)
    for measure, values in zip(sums, measures, strict=True):
        if int(np.abs(values).max()) * len(values) < 2**_WHOLE_BITS:
            measure[:] = np.bincount(of, values)
        else:
            upper, lower = values >> _HALF, values & (2**_HALF - 1)
            measure[:] = (np.bincount(of, upper).astype(np.int64) << _HALF) + np.bincount(of, lower).astype(np.int64)
    return rows, sums


def _truths(column: pa.ChunkedArray) -> _Truths:
    return whole(column).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
