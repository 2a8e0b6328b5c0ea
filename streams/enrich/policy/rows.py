"""In: the facts of a batch and its judgements. Out: the policy rows of a tally: by hour, what each rule made of its
calls, and what is told of all calls.

Calls in order need one row for each rule and hour; those that are not also tell whose they are. All calls are summed by
what tells them apart first, so that no facet has to go through the batch again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.control.policies import UNKNOWN_DATA_CLASS, VIOLATIONS
from schemas.enriched import UNATTRIBUTED
from schemas.tallies import ALL_CALLS, FACETS, MEASURES
from streams.enrich.columns import Ints, whole
from streams.enrich.facts import Facts
from streams.enrich.groups import Index, Names, keys_of, sum_groups
from streams.enrich.policy.columns import Judged

_HOUR: Final = 60
#: What is told of calls that are not in order.
_DIMENSIONS: Final = ("team_id", "department", "use_case", "stage", "model_class", "workflow")
#: Column of the facts that a subject, `sub_key` of a tally, is named by.
_SUBJECT: Final = "data_class"

_Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PolicyRows:
    """`finding` are places in `verdicts` and `rules`; `minute` (of the hour) is in minutes since the epoch; `names` has
    an entry for each column that is not all null: team and the like by the texts of the facts, and `sub_key`; `sums` is
    measures × rows, in the order of MEASURES.
    """

    partition: Ints
    minute: Ints
    verdicts: list[str]
    rules: list[str]
    finding: Ints
    names: dict[str, Names]
    sums: Ints

    def codes(self, column: str) -> Ints:
        """Of the rows' texts in a column; 0 is null."""
        return self.names[column].codes if column in self.names else np.zeros(len(self.minute), np.int64)

    @classmethod
    def none(cls) -> PolicyRows:
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, [], [], nothing, {}, np.zeros((len(MEASURES), 0), np.int64))


def policy_rows(facts: Facts, judged: Judged | None) -> PolicyRows:
    """All policy rows of a batch."""
    if judged is None:
        return PolicyRows.none()
    unattributed = _truths(pc.equal(facts.table.column("attribution"), UNATTRIBUTED))
    unpriced = _truths(pc.is_null(facts.table.column("cost_nanousd")))
    hour = facts.minute // _HOUR * _HOUR
    keys = keys_of(
        [facts.partition, hour, judged.codes, unattributed.astype(np.int64), unpriced.astype(np.int64)], len(hour)
    )
    rows, sums = sum_groups(keys, facts.sums)
    all_calls = _Summed(facts.partition[rows], hour[rows], sums)
    groups = Judged(judged.codes[rows], judged.judgements)
    facets: dict[str, _Truths] = {
        "all": np.ones(len(rows), bool),
        "governed": groups.where(lambda one: one.verdict is not None),
        "unattributed": unattributed[rows],
        "unpriced": unpriced[rows],
        "violations": groups.where(lambda one: one.verdict in VIOLATIONS),
        "unregistered": groups.where(lambda one: one.is_unregistered),
    }
    parts = [_facet(all_calls.among(mask), facet) for facet, mask in facets.items() if mask.any()]
    high_risk = judged.where(lambda one: one.is_high_risk_approved)
    if high_risk.any():
        places = np.flatnonzero(high_risk)
        workflow = facts.names("workflow").codes[places]
        calls = _Summed(facts.partition[places], hour[places], facts.sums[:, places])
        parts.append(_facet(calls, FACETS[-1], {"workflow": workflow}))
    findings = _Findings(judged)
    in_order = groups.where(lambda one: one.verdict == "allowed")
    if in_order.any():
        parts.append(_Part.of(all_calls.among(in_order), findings.codes[groups.codes[in_order]], {}))
    not_in_order = np.flatnonzero(judged.where(lambda one: one.verdict not in (None, "allowed")))
    if len(not_in_order):
        parts.append(_not_in_order(facts, hour, not_in_order, findings.codes[judged.codes[not_in_order]], findings))
    return _together(parts, findings, facts)


@dataclass(frozen=True, slots=True)
class _Summed:
    """Sums (measures × n) by input partition and hour, and by whatever else was told apart."""

    partition: Ints
    hour: Ints
    sums: Ints

    def among(self, mask: _Truths) -> _Summed:
        return _Summed(self.partition[mask], self.hour[mask], self.sums[:, mask])


class _Findings:
    """Pairs of verdict and rule: the facets, and behind them those of the judgements. Judgements that differ in nothing
    else are one. `codes` has the place of each judgement.
    """

    def __init__(self, judged: Judged) -> None:
        found: list[tuple[str, str]] = [(one.verdict or "", one.rule or "") for one in judged.judgements]
        self.pairs = [*((facet, ALL_CALLS) for facet in FACETS), *sorted(set(found))]
        place = {pair: code for code, pair in enumerate(self.pairs)}
        self.codes = np.array([place[one] for one in found], np.int64)


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one kind: sums, findings, and codes of what else is told, by column of the facts."""

    calls: _Summed
    finding: Ints
    told: dict[str, Ints] = field(default_factory=dict)

    @classmethod
    def of(cls, calls: _Summed, finding: Ints, told: dict[str, Ints]) -> _Part:
        """The groups of `calls` by partition, hour and all else."""
        keys = keys_of([calls.partition, calls.hour, finding, *told.values()], len(finding))
        rows, sums = sum_groups(keys, calls.sums)
        summed = _Summed(calls.partition[rows], calls.hour[rows], sums)
        return cls(summed, finding[rows], {name: codes[rows] for name, codes in told.items()})


def _facet(calls: _Summed, facet: str, told: dict[str, Ints] | None = None) -> _Part:
    return _Part.of(calls, np.full(len(calls.hour), FACETS.index(facet), np.int64), told or {})


def _not_in_order(facts: Facts, hour: Ints, places: Index, finding: Ints, findings: _Findings) -> _Part:
    told = {name: facts.names(name).codes[places] for name in _DIMENSIONS}
    # What nobody knows is asked for by its name; of other rules it tells nothing.
    unknown = np.array([rule == UNKNOWN_DATA_CLASS for _, rule in findings.pairs], bool)[finding]
    if unknown.any():
        told[_SUBJECT] = np.where(unknown, facts.names(_SUBJECT).codes[places], 0)
    calls = _Summed(facts.partition[places], hour[places], facts.sums[:, places])
    return _Part.of(calls, finding, told)


def _together(parts: list[_Part], findings: _Findings, facts: Facts) -> PolicyRows:
    names = {}
    for name in (*_DIMENSIONS, _SUBJECT):
        if any(name in part.told for part in parts):
            codes = [part.told.get(name, np.zeros(len(part.finding), np.int64)) for part in parts]
            names["sub_key" if name == _SUBJECT else name] = Names(facts.names(name).texts, np.concatenate(codes))
    return PolicyRows(
        np.concatenate([part.calls.partition for part in parts]),
        np.concatenate([part.calls.hour for part in parts]),
        [verdict for verdict, _ in findings.pairs],
        [rule for _, rule in findings.pairs],
        np.concatenate([part.finding for part in parts]),
        names,
        np.concatenate([part.calls.sums for part in parts], axis=1),
    )


def _truths(column: pa.ChunkedArray) -> _Truths:
    return whole(column).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
