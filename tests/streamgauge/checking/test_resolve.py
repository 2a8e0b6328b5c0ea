"""One call is resolved as enrich resolves a row: over random documents and claims, both say the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.control.base import Stage, moment_us
from schemas.control.directory import Membership, Sender, SenderKind, Team, TeamTerm
from schemas.control.models import CatalogueModel
from schemas.control.records import ControlRecord
from schemas.control.use_cases import UseCase
from schemas.prices.card import Provisional
from schemas.pseudonym import hash_user
from streamgauge.checking.question import Question
from streamgauge.checking.resolve import Resolver
from streams.enrich.rules import RulesCompiler
from tests.streamgauge.checking.support import KEY, snapshot_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TEAMS, NAMES, CASES, MODELS = ("t1", "t2", "t3"), ("n1", "n2"), ("c1", "c2", "c3"), ("gpt-4o", "gpt-4o-mini", "opus")
STAGES: tuple[Stage, ...] = get_args(Stage)


def maybe(values: Any) -> Any:
    return st.none() | st.sampled_from(values)


@st.composite
def terms(draw: Any, make: Any) -> tuple[Any, ...]:
    """One term, now or over, or two that meet at an instant."""
    cut = draw(st.sampled_from([NOW, NOW.replace(year=2025), NOW.replace(year=2027)]))
    first = make(draw).model_copy(update={"valid_to": cut})
    return (first, make(draw).model_copy(update={"valid_from": cut})) if draw(st.booleans()) else (first,)


def _term(draw: Any) -> TeamTerm:
    return TeamTerm(department=draw(maybe(["d1", "d2"])))


def _membership(draw: Any) -> Membership:
    return Membership(
        team=draw(st.sampled_from(TEAMS)),
        role=draw(maybe(["r1", "r2"])),
        use_case=draw(maybe(CASES)),
        stage=draw(maybe(STAGES)),
    )


@st.composite
def documents(draw: Any) -> list[ControlRecord]:
    records: list[ControlRecord] = [
        Team(id=one, terms=draw(terms(_term))) for one in draw(st.sets(st.sampled_from(TEAMS)))
    ]
    for kind in get_args(SenderKind):
        for name in draw(st.sets(st.sampled_from(NAMES))):
            mine = hash_user(KEY, name) if kind == "user" else name
            records.append(Sender(sender=kind, id=mine, terms=draw(terms(_membership))))
    records += [
        UseCase(
            id=case,
            owner="Ada",
            criticality=draw(st.sampled_from(["low", "high"])),
            data_class=draw(maybe(["public", "secret"])),
            stage=draw(maybe(STAGES)),
            teams=tuple(draw(st.sets(st.sampled_from(TEAMS), max_size=2))),
        )
        for case in draw(st.sets(st.sampled_from(CASES)))
    ]
    models = draw(st.sets(st.sampled_from(["gpt-4o", "gpt-*", "gpt-4o-m*", "o*"])))
    return [*records, *(CatalogueModel(id=model, model_class=f"class-{len(model)}") for model in models)]


QUESTIONS = st.builds(
    Question,
    team_id=maybe([*TEAMS, "elsewhere"]),
    credential_id=maybe(NAMES),
    user_id=maybe(NAMES),
    source=maybe(NAMES),
    use_case=maybe([*CASES, "unheard"]),
    stage=maybe(STAGES),
    data_class=maybe(["public", "internal"]),
    model=maybe(MODELS),
)


def text(value: str | None) -> pa.Array:
    return pa.array([value], pa.utf8())


@settings(max_examples=80)
@given(documents(), QUESTIONS)
def test_a_question_is_resolved_as_enrich_resolves_a_row(records: list[ControlRecord], asked: Question) -> None:
    snapshot = snapshot_of(*records)
    rules = RulesCompiler(Provisional()).compile(snapshot)
    user = None if asked.user_id is None else hash_user(KEY, asked.user_id)
    row = rules.directory.attribute(
        np.array([moment_us(NOW)]), text(asked.team_id), text(asked.credential_id), text(user), text(asked.source)
    )
    purpose = rules.use_cases.judge(text(asked.use_case), text(asked.stage), text(asked.data_class), row)
    model_class = None if asked.model is None else rules.classes.of(text(asked.model))[0].as_py()
    expected = {
        "team_id": row.team_id[0].as_py(),
        "department": row.department[0].as_py(),
        "role": row.role[0].as_py(),
        "use_case": purpose.use_case[0].as_py(),
        "stage": purpose.stage[0].as_py(),
        "criticality": purpose.criticality[0].as_py(),
        "data_class": purpose.data_class[0].as_py(),
        "model_class": model_class,
        "user_hash": user,
    }
    resolved = Resolver(snapshot, KEY).resolve(asked, moment_us(NOW))
    assert {name: resolved.facts.get(name) for name in expected} == expected
    assert resolved.lost.get("use_case") == purpose.claimed_use_case[0].as_py()
    assert resolved.lost.get("stage") == purpose.claimed_stage[0].as_py()
    assert ("team_id" in resolved.lost) == bool(row.conflict[0])


def test_what_documents_do_not_say_is_taken_from_the_asker() -> None:
    """No event can claim these; a gateway that knows them may say so, until a document does."""
    asked = Question(department="d9", role="r9", criticality="high", model_class="frontier", model="m", user_hash="u")
    alone = Resolver(snapshot_of(), None).resolve(asked, moment_us(NOW))
    assert {"department": "d9", "role": "r9", "criticality": "high", "model_class": "frontier"}.items() <= (
        alone.facts.items()
    )
    records: list[ControlRecord] = [
        Team(id="t1", terms=(TeamTerm(department="d1"),)),
        Sender(sender="user", id="u", terms=(Membership(team="t1", role="r1"),)),
        CatalogueModel(id="m", model_class="small"),
    ]
    ruled = Resolver(snapshot_of(*records), None).resolve(asked, moment_us(NOW))
    assert ruled.lost == {"department": "d9", "role": "r9", "model_class": "frontier"}
    assert (ruled.facts["department"], ruled.facts["role"], ruled.facts["model_class"]) == ("d1", "r1", "small")
