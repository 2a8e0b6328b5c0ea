"""Verdicts, rules and retention classes against a brute-force reading of the documents, event by event; and the policy
rows of tallies against the rows themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.control.base import moment_us
from schemas.control.policies import VIOLATIONS, Choice, Policy
from schemas.control.use_cases import UseCase
from schemas.enriched import ENRICHED
from schemas.tallies import home_partition
from streams.enrich.budget_rows import BudgetIndex
from streams.enrich.facts import facts_of
from streams.enrich.policy.columns import PolicyIndex
from streams.enrich.policy.judge import Judge
from streams.enrich.tally import TallyMaker
from tests.streams.enrich.policy.brute_force import Documents, Found, find
from tests.streams.enrich.policy.worlds import documents, event
from tests.streams.enrich.test_tallies import NOBODY
from tests.support.blocks import enriched_table
from tests.support.enrich import snapshot_of

TALLY_PARTITIONS = 5
_DIMENSIONS = ("team_id", "department", "use_case", "stage", "model_class", "workflow")


def table_of(events: Sequence[dict[str, Any]]) -> pa.Table:
    columns: dict[str, Any] = {
        name: [one[name] for one in events] for name in events[0] if name in ENRICHED.names and name != "meters"
    }
    columns["occurred_at"] = [moment_us(one["at"]) for one in events]
    columns["attribution"] = ["unattributed" if one["team_id"] == "unattributed" else "claim" for one in events]
    columns["meters"] = [list(one["meters"].items()) for one in events]
    columns["src_partition"] = [number % 3 for number in range(len(events))]
    return enriched_table(len(events), **columns)


@given(st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_columns_judge_as_a_person_would_event_by_event(seed: int) -> None:
    chance = Random(seed)
    plain, records = documents(chance)
    index = PolicyIndex(snapshot_of(*records))
    for _ in range(2):
        events = [event(chance) for _ in range(60)]
        judged = index.judge(facts_of(table_of(events)))
        expected = [find(one, plain) for one in events]
        if judged is None:
            assert plain.policies + plain.use_cases + [one for one in plain.models if "approved_for" in one] == []
            assert {one.verdict for one in expected} == {None}
            continue
        rows = judged.on(table_of(events)).select(["policy_verdict", "policy_rule", "retention_class"]).to_pylist()
        assert [Found(*row.values()) for row in rows] == expected


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_policy_rows_of_tallies_count_what_the_rows_say(seed: int) -> None:
    chance = Random(seed)
    plain, records = documents(chance)
    events = [event(chance) for _ in range(80)]
    judged = PolicyIndex(snapshot_of(*records)).judge(facts_of(table_of(events)))
    if judged is None:
        return
    enriched = judged.on(table_of(events))
    tallies = TallyMaker(TALLY_PARTITIONS).tally(facts_of(enriched), BudgetIndex(()), NOBODY, judged)
    found: Counter[tuple[Any, ...]] = Counter()
    for (partition, home), batch in tallies.items():
        for row in batch.to_pylist():
            if row["policy_rule"] is None:
                continue
            assert home == home_partition(f"policy/{row['policy_rule']}", TALLY_PARTITIONS)
            names = tuple(row[name] for name in (*_DIMENSIONS, "sub_key"))
            key = (partition, row["policy_rule"], row["policy_verdict"], row["minute"], *names)
            assert key not in found, "a row for each hour and place"
            found[key] = row["calls"] * 1_000_000 + row["cost_nanousd"]
    assert found == expected_rows(enriched.to_pylist(), events, plain)


def expected_rows(
    rows: list[dict[str, Any]], events: list[dict[str, Any]], plain: Documents
) -> Counter[tuple[Any, ...]]:
    counted: Counter[tuple[Any, ...]] = Counter()
    for row, one in zip(rows, events, strict=True):
        hour = moment_us(one["at"]) // 3_600_000_000 * 60
        rule, verdict, partition = row["policy_rule"], row["policy_verdict"], row["src_partition"]
        weight = 1_000_000 + (row["cost_nanousd"] or 0)
        nobody = (None,) * (len(_DIMENSIONS) + 1)
        facets = {
            "all": True,
            "governed": verdict is not None,
            "unattributed": row["attribution"] == "unattributed",
            "unpriced": row["cost_nanousd"] is None,
            "violations": verdict in VIOLATIONS,
            "unregistered": bool(plain.use_cases)
            and row["use_case"] not in [None, *(use_case["id"] for use_case in plain.use_cases)],
        }
        for facet, holds in facets.items():
            if holds:
                counted[partition, "(all)", facet, hour, *nobody] += weight
        if is_high_risk_approved(one, plain):
            counted[partition, "(all)", "high_risk_approved", hour, *nobody[:5], row["workflow"], None] += weight
        if verdict == "allowed":
            counted[partition, rule, verdict, hour, *nobody] += weight
        elif verdict is not None:
            subject = row["data_class"] if rule == "(data_class)" else None
            counted[partition, rule, verdict, hour, *(row[name] for name in _DIMENSIONS), subject] += weight
    return counted


def is_high_risk_approved(one: dict[str, Any], plain: Documents) -> bool:
    known = next((use_case for use_case in plain.use_cases if use_case["id"] == one["use_case"]), None)
    if known is None or known.get("automation") != "acts_alone" or known["criticality"] != "critical":
        return False
    # A policy that asks for nothing but an approval tells whether there is one.
    asking = plain._replace(
        policies=[{"id": "a", "needs_approval": True}], use_cases=[], models=[], departments=plain.departments
    )
    return find(one, asking).verdict != "unapproved"


def test_nothing_to_judge_by_costs_nothing() -> None:
    assert PolicyIndex(snapshot_of()).judge(facts_of(table_of([event(Random(1))]))) is None
    known = PolicyIndex(snapshot_of(UseCase(id="u", owner="Ada")))
    assert known.judge(facts_of(enriched_table(0))) is None


def test_many_different_texts_are_few_combinations() -> None:
    policy = Policy(id="p", forbid=Choice(models=("o3*",)), owner="Grace", reason="dear")
    index = PolicyIndex(snapshot_of(policy, UseCase(id="u", owner="Ada")))
    models = [f"o3-{number}" if number % 2 else f"gpt-{number}" for number in range(500)]
    judged = index.judge(facts_of(enriched_table(500, model=models, use_case=[f"u{number}" for number in range(500)])))
    assert judged is not None
    assert len(judged.judgements) == 2
    assert judged.on(enriched_table(500, model=models))["policy_verdict"].to_pylist() == ["unclear", "forbidden"] * 250


@pytest.mark.parametrize(("model", "verdict"), [("o3-mini", "forbidden"), ("gpt-5", "allowed")])
def test_one_call_is_judged_in_plain_python_too(model: str, verdict: str) -> None:
    policy = Policy(id="p", forbid=Choice(models=("o3*",)), owner="Grace", reason="dear", retention_class="short")
    judgement = Judge(snapshot_of(policy)).judge({"model": model}, 0)
    assert (judgement.verdict, judgement.rule, judgement.retention_class) == (verdict, "p", "short")


def test_costs_beyond_what_floating_point_holds_are_summed_to_the_nano_dollar() -> None:
    costs = [2**58 + 1, 2**58 + 3, 5, 2**33 + 7]
    policy = Policy(id="p", forbid=Choice(models=("o3*",)), owner="Grace", reason="dear")
    judged = PolicyIndex(snapshot_of(policy)).judge(facts_of(enriched_table(4, cost_nanousd=costs)))
    assert judged is not None
    table = enriched_table(4, cost_nanousd=costs)
    tallies = TallyMaker(1).tally(facts_of(table), BudgetIndex(()), NOBODY, judged)
    rows = [row for row in tallies[0, 0].to_pylist() if row["policy_rule"] is not None]
    assert {(row["policy_verdict"], row["calls"], row["cost_nanousd"]) for row in rows} == {
        (verdict, 4, sum(costs)) for verdict in ("all", "governed", "allowed")
    }
