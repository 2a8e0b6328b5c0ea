"""In: a batch of enriched rows. Out: a judgement for each row; Python judges each distinct combination once.

A column is first cut down to what rules can tell apart: of a hundred teams of which a policy names two, three kinds
are left. What is combined and judged is one text for each kind, so a batch has few combinations, whatever its ids are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.control.snapshot import ControlSnapshot
from schemas.enriched import ENRICHED
from streams.enrich.columns import Ints, ints
from streams.enrich.facts import Facts
from streams.enrich.groups import distinct, keys_of
from streams.enrich.policy.judge import COLUMN_OF, Judge, Judgement
from streams.enrich.policy.selecting import fits

#: Texts and combinations remembered; beyond that they are forgotten and judged anew.
_REMEMBERED: Final = 100_000
#: Stands for any value of a column that is only asked whether it is there.
_PRESENT: Final = "present"


@dataclass(frozen=True, slots=True)
class Judged:
    """Of each row, the place of its judgement in `judgements`."""

    codes: Ints
    judgements: list[Judgement]

    def on(self, enriched: pa.Table) -> pa.Table:
        """The rows with their three policy columns."""
        for name, texts in (
            ("policy_verdict", [one.verdict for one in self.judgements]),
            ("policy_rule", [one.rule for one in self.judgements]),
            ("retention_class", [one.retention_class for one in self.judgements]),
        ):
            column = pa.array(texts, pa.utf8()).take(pa.array(self.codes))
            enriched = enriched.set_column(ENRICHED.get_field_index(name), ENRICHED.field(name), column)
        return enriched

    def where(self, holds: Callable[[Judgement], bool]) -> np.ndarray:
        """bool[rows]: whose judgement is such."""
        table = np.array([holds(one) for one in self.judgements], bool)
        chosen: np.ndarray = table[self.codes]
        return chosen


class _Kinds:
    """One column, cut down: 0 is null, i stands for every text of kind i, of which `texts[i]` is one. Without
    `kind_of` all texts are of one kind.
    """

    def __init__(self, kind_of: Callable[[str], Hashable] | None) -> None:
        self._kind_of = kind_of
        self._kinds: dict[Hashable, int] = {}
        self._known: dict[str, int] = {}
        self.texts: list[str | None] = [None] if kind_of is not None else [None, _PRESENT]

    def codes(self, facts: Facts, column: str) -> Ints:
        if self._kind_of is None:
            return _is_there(facts.column(column))
        names = facts.names(column)
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        kinds = np.array([0 if text is None else self._code(text) for text in names.texts], np.int64)
        return kinds.take(names.codes)

    def _code(self, text: str) -> int:
        code = self._known.get(text)
        if code is None:
            kind = None if self._kind_of is None else self._kind_of(text)
            code = self._kinds.get(kind, 0)
            if not code:
                code = self._kinds[kind] = len(self.texts)
                self.texts.append(text)
            self._known[text] = code
        return code


class PolicyIndex:
    """The policies of one control snapshot, made for judging batches. Keeps caches only."""

    def __init__(self, snapshot: ControlSnapshot) -> None:
        self._judge = Judge(snapshot)
        self.is_empty = self._judge.is_empty
        self._columns = {name: _Kinds(kind_of) for name, kind_of in _looked_at(self._judge).items()}
        self._boundaries = np.array(self._judge.grants.boundaries(), np.int64)
        self._combinations: dict[tuple[int, ...], int] = {}
        self._judgements: dict[Judgement, int] = {}

    def judge(self, facts: Facts) -> Judged | None:
        """A judgement of every row of a batch; None where there is nothing to judge by."""
        if self.is_empty or facts.table.num_rows == 0:
            return None
        at_us = ints(facts.table, "occurred_at")
        columns = [kinds.codes(facts, name) for name, kinds in self._columns.items()]
        columns.append(np.searchsorted(self._boundaries, at_us, "right").astype(np.int64))
        places, of = distinct(keys_of(columns, len(at_us)))
        if len(self._combinations) > _REMEMBERED:
            self._combinations.clear()
        combinations = zip(*(column[places].tolist() for column in columns), strict=True)
        codes = [
            self._code(combination, at) for combination, at in zip(combinations, at_us[places].tolist(), strict=True)
        ]
        return Judged(np.array(codes, np.int64)[of], list(self._judgements))

    def _code(self, combination: tuple[int, ...], at_us: int) -> int:
        """The last of the combination is the span between two boundaries, in which any moment will do."""
        code = self._combinations.get(combination)
        if code is None:
            values = {
                name: kinds.texts[place]
                for (name, kinds), place in zip(self._columns.items(), combination[:-1], strict=True)
            }
            judgement = self._judge.judge(values, at_us)
            code = self._judgements.setdefault(judgement, len(self._judgements))
            self._combinations[combination] = code
        return code


def _looked_at(judge: Judge) -> dict[str, Callable[[str], Hashable] | None]:
    """Column -> what rules can tell of its texts; None: whether there is one."""
    named = _named(judge)
    columns: dict[str, Callable[[str], Hashable] | None] = {
        name: _among(frozenset(texts)) if texts else None for name, texts in named.items()
    }
    if "use_case" in columns:
        columns["use_case"] = _use_case(judge, frozenset(named["use_case"]))
    choices = [
        choice
        for policy, _ in judge.policies
        for choice in (policy.allow, policy.discourage, policy.forbid)
        if choice is not None
    ]
    grants = judge.grants.by_id.values()
    models = {*(one for choice in choices for one in choice.models), *(one for grant in grants for one in grant.models)}
    providers = {name for choice in choices for name in choice.providers}
    providers.update(name for grant in grants for name in grant.providers)
    if models or judge.catalogue.restricts:
        columns["model"] = _model(judge, sorted(models))
    if providers:
        columns["provider"] = _by_patterns(sorted(providers))
    return columns


def _named(judge: Judge) -> dict[str, set[str]]:
    """Column -> the texts of it that some rule names. A column that is only asked whether it is there has none."""
    named: dict[str, set[str]] = {}
    for policy, selection in judge.policies:
        for column, accepted in selection.wanted:
            named.setdefault(column, set()).update(accepted)
        for field in policy.required_fields:
            column = COLUMN_OF.get(field, field)
            if column in ENRICHED.names:
                # Nobody's team is no team.
                named.setdefault(column, set()).update(["unattributed"] if field == "team_id" else [])
        if policy.unattended is not None:
            named.setdefault("workflow", set()).update(policy.unattended)
    for grant in judge.grants.by_id.values():
        for column, accepted in grant.selection.wanted:
            named.setdefault(column, set()).update(accepted)
    if judge.data_classes:
        named.setdefault("data_class", set()).update(judge.data_classes)
    if any(policy.needs_approval for policy, _ in judge.policies) or any(map(judge.is_high_risk, judge.use_cases)):
        named.setdefault("approval", set()).update(judge.grants.by_id)
    if judge.use_cases:
        named.setdefault("use_case", set())
    return named


def _among(names: frozenset[str]) -> Callable[[str], Hashable]:
    return lambda text: text if text in names else None


def _use_case(judge: Judge, names: frozenset[str]) -> Callable[[str], Hashable]:
    return lambda text: (
        text if text in names else None,
        judge.is_unregistered(text),
        judge.acts_alone(text),
        judge.is_high_risk(text),
    )


def _model(judge: Judge, patterns: Iterable[str]) -> Callable[[str], Hashable]:
    matched = _by_patterns(patterns)

    def kind_of(text: str) -> Hashable:
        entry = judge.catalogue.entry(text)
        return matched(text), None if entry is None or not entry.approved_for else entry.id

    return kind_of


def _by_patterns(patterns: Iterable[str]) -> Callable[[str], Hashable]:
    asked = tuple(patterns)
    return lambda text: tuple(one for one in asked if fits(one, text))


def _is_there(column: pa.Array) -> Ints:
    """1 where a column has a value; a map without entries has none."""
    if pa.types.is_map(column.type):
        return (np.diff(np.asarray(column.offsets)) > 0).astype(np.int64)
    return pc.is_valid(column).to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]
