"""Use case, stage, role, criticality and data class of an event against plain Python: documents first, then claims."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.control.base import us_moment
from schemas.control.directory import Membership, Sender, SenderKind, Team, TeamTerm
from schemas.control.records import ControlRecord
from schemas.control.use_cases import UseCase
from streams.enrich.attribute import DirectoryIndex
from streams.enrich.pipeline import Pipeline
from streams.enrich.use_cases import UseCaseIndex
from tests.support.enrich import CONFIG, NOON_US, avro_value, event, fresh_states, rules_of, snapshot_of, source_batch

NOON = us_moment(NOON_US)
TEAMS = ("a", "b")
USES = ("chat", "triage", "other")
STAGES = ("production", "exploratory")
SENDERS: tuple[tuple[SenderKind, str], ...] = (("credential", "key"), ("user", "hash"), ("source", "svc"))


@st.composite
def documents(draw: st.DrawFn) -> list[ControlRecord]:
    """Some senders, the second half of whose time may be fixed otherwise; some use cases; teams, or none listed."""

    def term(**dates: Any) -> Membership:
        return Membership(
            team=draw(st.sampled_from(TEAMS)),
            role=draw(st.sampled_from(["dev", "ops", None])),
            use_case=draw(st.sampled_from([*USES, None, None])),
            stage=draw(st.sampled_from([*STAGES, None, None])),
            **dates,
        )

    records: list[ControlRecord] = []
    for kind, name in SENDERS:
        if draw(st.booleans()):
            terms = (term(valid_to=NOON), term(valid_from=NOON)) if draw(st.booleans()) else (term(valid_from=NOON),)
            records.append(Sender(sender=kind, id=name, terms=terms))
    records += [
        UseCase(
            id=name,
            owner="ada",
            criticality=draw(st.sampled_from(["low", "high"])),
            data_class=draw(st.sampled_from(["secret", None])),
            stage=draw(st.sampled_from([*STAGES, None])),
            teams=draw(st.sampled_from([(), ("a",), ("a", "b"), ("elsewhere",)])),
        )
        for name in draw(st.lists(st.sampled_from(USES[:2]), unique=True))
    ]
    if draw(st.booleans()):
        records += [Team(id=name, terms=(TeamTerm(),)) for name in TEAMS]
    return records


EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.sampled_from([NOON_US - 1, NOON_US]),
            "team": st.sampled_from([*TEAMS, "c", None]),
            "credential": st.sampled_from(["key", None]),
            "user": st.sampled_from(["hash", "stranger", None]),
            "source": st.sampled_from(["svc", "elsewhere"]),
            "use_case": st.sampled_from([*USES, None]),
            "stage": st.sampled_from([*STAGES, None]),
            "data_class": st.sampled_from(["public", None]),
        }
    ),
    max_size=12,
)


def expected(records: list[ControlRecord], one: dict[str, Any]) -> dict[str, Any]:
    """What holds for one event, from the documents themselves."""

    def term(kind: str) -> Membership | None:
        for record in records:
            if isinstance(record, Sender) and (record.sender, record.id) == (kind, one[kind]):
                for held in record.terms:
                    if (held.valid_from is None or one["at"] >= NOON_US) and (
                        held.valid_to is None or one["at"] < NOON_US
                    ):
                        return held
        return None

    terms = [found for found in (term(kind) for kind in ("credential", "user", "source")) if found is not None]
    person = term("user")
    listed = {record.id for record in records if isinstance(record, Team)}
    listed_also = {held.team for record in records if isinstance(record, Sender) for held in record.terms}
    team: str | None
    if terms:
        team = terms[0].team
    else:
        team = one["team"] if not listed or one["team"] in listed | listed_also else None
    use_cases = {record.id: record for record in records if isinstance(record, UseCase)}
    claim = one["use_case"]
    use_case = next((held.use_case for held in terms if held.use_case is not None), None)
    is_lost = use_case is not None and claim is not None and claim != use_case
    if use_case is None:
        use_case = claim
        if claim in use_cases and use_cases[claim].teams and team not in use_cases[claim].teams:
            use_case, is_lost = None, True
    document = use_cases.get(use_case or "")
    stage = next((held.stage for held in terms if held.stage is not None), None) or (document and document.stage)
    return {
        "role": person and person.role,
        "use_case": use_case,
        "claimed_use_case": claim if is_lost else None,
        "stage": stage or one["stage"],
        "claimed_stage": one["stage"] if stage and one["stage"] not in (None, stage) else None,
        "criticality": document and document.criticality,
        "data_class": one["data_class"] or (document and document.data_class),
    }


@settings(max_examples=150)
@given(documents(), EVENTS)
def test_what_holds_is_what_plain_python_says(records: list[ControlRecord], rows: list[dict[str, Any]]) -> None:
    snapshot = snapshot_of(*records)
    directory = DirectoryIndex(snapshot)

    def column(name: str) -> pa.Array:
        return pa.array([row[name] for row in rows], pa.utf8())

    known = directory.attribute(
        np.asarray([row["at"] for row in rows], np.int64),
        *(column(name) for name in ("team", "credential", "user", "source")),
    )
    purpose = UseCaseIndex(snapshot, directory).judge(column("use_case"), column("stage"), column("data_class"), known)
    wanted = [expected(records, row) for row in rows]
    for name in ("use_case", "claimed_use_case", "stage", "claimed_stage", "criticality", "data_class"):
        assert getattr(purpose, name).to_pylist() == [one[name] for one in wanted], name
    assert known.role.to_pylist() == [one["role"] for one in wanted]
    assert purpose.use_case_conflicts == sum(one["claimed_use_case"] is not None for one in wanted)
    assert purpose.stage_conflicts == sum(one["claimed_stage"] is not None for one in wanted)


def test_the_pipeline_writes_and_counts_them() -> None:
    rules = rules_of(
        Sender(sender="credential", id="key", terms=(Membership(team="a", use_case="triage"),)),
        UseCase(id="triage", owner="ada", criticality="high", stage="production", data_class="internal"),
        UseCase(id="closed", owner="ada", teams=("a",)),
    )
    values: list[bytes | None] = [
        avro_value(event(0, credential_id="key", use_case="chat", stage="exploratory")),
        avro_value(event(1, credential_id="key", team_id="b", data_class="secret")),
        avro_value(event(2, credential_id=None, team_id="b", use_case="closed", stage="exploratory")),
    ]
    result = Pipeline(CONFIG, "usage.events", 1, None).run(source_batch(values), rules, fresh_states(0))
    names = ("team_id", "use_case", "claimed_use_case", "stage", "claimed_stage", "criticality", "data_class")
    [done] = result.partitions
    found = [tuple(row[name] for name in names) for row in done.block.to_pylist()]
    assert found == [
        ("a", "triage", "chat", "production", "exploratory", "high", "internal"),
        ("a", "triage", None, "production", None, "high", "secret"),
        ("b", None, "closed", "exploratory", None, None, None),
    ]
    assert (result.conflicts.team, result.conflicts.use_case, result.conflicts.stage) == (1, 2, 1)
