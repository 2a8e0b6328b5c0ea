"""Values are ranked by what they carry above the usual; whatever ClickHouse says, the parts of a dimension add up."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.agents.investigation.detail import (
    Carried,
    Carrier,
    Concentration,
    KeyUse,
    SpikeDetail,
    SpikeQuestion,
    Sums,
)
from streams.agents.spikes.explain.detail_facts import facts_of
from streams.agents.spikes.explain.facts import Facts
from streams.agents.spikes.explain.wording import behind

AMOUNT = st.integers(0, 10**12)


def sums(cost: int, calls: int = 100, **more: int) -> Sums:
    fields = dict.fromkeys(
        ("errors", "retries", "input_tokens", "cache_read_tokens", "output_tokens", "growing_cost", "exploratory_cost"),
        0,
    )
    return Sums(calls=calls, cost=cost, **(fields | more))


def question(expected: int) -> SpikeQuestion:
    return SpikeQuestion(0, "spike-1", "search", None, (0, 1), ((0, 1),), expected, {})


def split(expected: int, *carried: Carried, now: int = 1000, before: int = 100) -> Facts:
    detail = SpikeDetail(sums(now), sums(before) if before else None, carried, (), None)
    return facts_of(question(expected), detail)


def test_what_is_usual_for_a_value_is_its_share_of_the_span_before() -> None:
    # 200 are usual, of which the span before gives triage 60% and answers 40%.
    facts = split(
        200,
        Carried("use_case", "triage", 880, 60),
        Carried("use_case", "answers", 120, 40),
        Carried("model", "small", 1000, 100),
    )
    assert [(cause.factor, cause.after) for cause in facts.carried] == [("triage", 880), ("answers", 120)]
    assert [cause.before for cause in facts.carried] == pytest.approx([120, 80])
    assert [cause.share for cause in facts.carried] == pytest.approx([760 / 800, 40 / 800])
    assert facts.uncarried_share == pytest.approx(0)
    assert not facts.spread


def test_the_most_surprising_dimension_comes_first() -> None:
    facts = split(
        100,
        Carried("use_case", "triage", 700, 50),
        Carried("use_case", "answers", 300, 50),
        Carried("prompt_template", "long@2", 950, 0),
        Carried("prompt_template", "short@1", 50, 100),
    )
    assert [cause.factor for cause in facts.carried] == ["long@2", "short@1", "triage", "answers"]


def test_a_version_is_told_where_it_is_news_and_a_mix_that_stayed_is_spread() -> None:
    both = (Carried("workflow", "nightly", 900, 50), Carried("workflow", "daily", 100, 50))
    old = split(100, *both, Carried("workflow_version", "nightly@1", 900, 50))
    assert {cause.dimension for cause in old.carried} == {"workflow"}
    new = split(100, *both, Carried("workflow_version", "nightly@2", 900, 0))
    assert new.carried[0].factor == "nightly@2"
    even = split(100, Carried("use_case", "triage", 500, 50), Carried("use_case", "answers", 500, 50))
    assert even.spread


def test_what_took_the_place_of_something_is_told_with_it() -> None:
    facts = split(
        100, Carried("workflow_version", "nightly@2", 1000, 0), Carried("workflow_version", "nightly@1", 0, 90)
    )
    assert [(cause.factor, round(cause.share, 2)) for cause in facts.carried] == [
        ("nightly@2", 1.11),
        ("nightly@1", -0.1),
    ]
    assert facts.carried[1].label.startswith("-10% in workflow version nightly@1:")
    assert facts.uncarried_share == pytest.approx(1 - 910 / 900)


def test_without_a_span_before_the_mix_of_now_is_taken() -> None:
    facts = split(500, Carried("use_case", "triage", 800, 0), Carried("use_case", "answers", 200, 0), before=0)
    assert [cause.share for cause in facts.carried] == pytest.approx([0.8, 0.2])


@given(
    AMOUNT,
    AMOUNT,
    AMOUNT,
    st.lists(st.tuples(st.sampled_from(get_args(Carrier)), st.sampled_from("abcdef"), AMOUNT, AMOUNT), max_size=20),
)
def test_the_parts_of_the_first_dimension_and_the_rest_add_up(
    expected: int, now: int, before: int, values: list[tuple[Carrier, str, int, int]]
) -> None:
    distinct = {(dimension, value): Carried(dimension, value, *costs) for dimension, value, *costs in values}
    facts = split(expected, *distinct.values(), now=now, before=before)
    if facts.carried:
        first = [cause for cause in facts.carried if cause.dimension == facts.carried[0].dimension]
        assert sum(cause.share for cause in first) + facts.uncarried_share == pytest.approx(1)
    else:
        assert facts.uncarried_share == 1


def test_shares_of_retries_keys_and_prompts() -> None:
    detail = SpikeDetail(
        sums(1000, 200, retries=100, growing_cost=500, exploratory_cost=250),
        sums(100, 50, retries=5),
        (),
        (Concentration("prompt", 10, 0.5, 1, 80, 1),),
        KeyUse(900, 50, 2, 1, 450),
    )
    facts = facts_of(question(200), detail)
    assert (facts.retries.now, facts.retries.before) == (0.5, 0.1)
    assert (facts.growing.now, facts.exploratory.now) == (0.5, 0.25)
    assert facts.same_prompt is not None
    assert (facts.same_prompt.now, facts.same_prompt.before, facts.calls_per_prompt) == (0.4, 0.02, 20)
    assert facts.key is not None
    # 900 now, of which twice the 50 before are usual, of a rise of 800.
    assert (facts.key.share, facts.key.new_share, facts.key.known) == (1.0, 0.5, True)
    assert facts.key.kept == 4.5
    assert (facts.people, facts.sessions) == (None, None)


@pytest.mark.parametrize(
    ("number", "carriers", "words"),
    [
        (0, 0, "no person: calls of services"),
        (4, 1, "fewer than 5 users"),
        (14, 1, "one of 14 users"),
        (14, 3, "3 of 14 users"),
        (14, 9, "many of 14 users"),
        (900, 0, "many of 900 users"),
    ],
)
def test_people_are_counted_and_never_named(number: int, carriers: int, words: str) -> None:
    detail = SpikeDetail(sums(1000), None, (), (Concentration("person", number, 0.7, carriers, 1, 0),), None)
    assert behind(facts_of(question(100), detail).people) == words
