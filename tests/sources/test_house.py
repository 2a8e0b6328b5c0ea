"""The fleet's control documents: valid by the contracts, complete for the cast, and generous where nothing is
planted.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from genai_prices import Usage, calc_price
from pydantic import BaseModel

from schemas.control.budgets import Budget
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from schemas.control.models import CatalogueModel
from schemas.control.use_cases import UseCase
from schemas.prices.card import RateCard
from schemas.prices.columns import CallColumns
from schemas.prices.overrides import PriceOverride, date_overrides
from schemas.prices.pricing import price
from schemas.prices.providers import provider_id
from sources.fleet import Fleet, house_files
from sources.fleet.cast import NOBODY, OPUS, PROTOTYPE, TEAMS
from sources.fleet.incidents.over_budget import BUDGET_ID, HARD_TOKENS

KINDS: dict[str, type[BaseModel]] = {
    "use_case": UseCase,
    "model": CatalogueModel,
    "budget": Budget,
    "price": PriceOverride,
}
DOCUMENTS: list[dict[str, Any]] = [
    document for path in house_files() for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
DIRECTORY = next(document for document in DOCUMENTS if document["kind"] == "directory")


def records(kind: str) -> list[Any]:
    return [KINDS[kind].model_validate(document) for document in DOCUMENTS if document["kind"] == kind]


def test_every_document_is_of_a_known_kind_and_valid() -> None:
    assert {document["kind"] for document in DOCUMENTS} == {*KINDS, "directory"}
    for kind in KINDS:
        ids = [record.id for record in records(kind)]
        assert ids
        assert len(ids) == len(set(ids))
    date_overrides(records("price"))


def test_every_directory_entry_is_valid() -> None:
    teams = {}
    for entry in DIRECTORY["teams"]:
        term = {name: value for name, value in entry.items() if name not in ("id", "name")}
        teams[entry["id"]] = Team(id=entry["id"], name=entry["name"], terms=(TeamTerm.model_validate(term),))
    assert {team.id: team.department for team in TEAMS} == {
        team.id: team.terms[0].department for team in teams.values()
    }
    terms: defaultdict[tuple[str, str], list[Membership]] = defaultdict(list)
    for kind, field in (("members", "user"), ("credentials", "id"), ("sources", "id")):
        for entry in DIRECTORY[kind]:
            rest = {name: value for name, value in entry.items() if name != field}
            terms[kind, entry[field]].append(Membership.model_validate(rest))
    for (_, sender), memberships in terms.items():
        Sender(sender="user", id=sender, terms=tuple(memberships))
        assert {one.team for one in memberships} <= set(teams)


def test_the_directory_knows_every_sender_of_the_cast_and_not_the_stranger() -> None:
    today = {(entry["user"], entry["team"]) for entry in DIRECTORY["members"] if "valid_to" not in entry}
    assert today == {(member, team.id) for team in TEAMS for member in team.members()}
    credentials = {(entry["id"], entry["team"]) for entry in DIRECTORY["credentials"]}
    sources = {(entry["id"], entry["team"]) for entry in DIRECTORY["sources"]}
    for team in TEAMS:
        for workload in team.workloads:
            assert workload.attributed_by != "credential" or (team.credential, team.id) in credentials
            assert workload.attributed_by != "source" or (team.source(workload), team.id) in sources
    stranger = {NOBODY.source(workload) for workload in NOBODY.workloads}
    assert stranger.isdisjoint(source for source, _ in sources)


def test_use_cases_outcome_kinds_and_models_are_registered() -> None:
    use_cases = {record.id: record for record in records("use_case")}
    catalogue = [record.id.removesuffix("*") for record in records("model")]
    for team in TEAMS:
        for workload in team.workloads:
            use_case = use_cases[workload.use_case]
            assert workload.outcome is None or workload.outcome.kind in use_case.outcome_kinds
            assert any(workload.model.name.startswith(name) for name in catalogue)


@pytest.mark.parametrize("at", [datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)])
def test_every_model_but_the_prototype_has_a_list_price(at: datetime) -> None:
    models = {workload.model for team in (*TEAMS, NOBODY) for workload in team.workloads} | {OPUS}
    for model in models - {PROTOTYPE}:
        found = calc_price(
            Usage(input_tokens=1_000, output_tokens=10),
            model_ref=model.name,
            provider_id=provider_id(model.provider),
            genai_request_timestamp=at,
        )
        assert found.total_price > 0, model


def test_the_crossed_budget_is_the_one_that_the_fleet_aims_at() -> None:
    budget = next(record for record in records("budget") if record.id == BUDGET_ID)
    assert budget.level_units("hard") == HARD_TOKENS
    assert (budget.period, budget.time_zone, budget.unit) == ("day", "UTC", "tokens")
    assert budget.scope.selectors() == {"team_id": ("finance-recon",)}


@pytest.mark.parametrize("seed", [1, 2])
def test_no_other_budget_reaches_its_hard_level(seed: int) -> None:
    """Held against the whole span for months, which is more than any calendar month of it."""
    fleet = Fleet(seed, datetime(2026, 11, 21, 18, 7, tzinfo=UTC))
    rows = pa.concat_tables([chunk.usage for chunk in fleet.chunks()])
    rows = rows.filter(pc.is_in(rows.column("status"), pa.array(["ok", "error", "cancelled", "refused"])))
    priced = price(RateCard.compile(records("price")), CallColumns.from_usage(rows))
    nanos = pc.fill_null(priced.cost_nanousd, 0).to_numpy()
    days = rows.column("occurred_at").cast(pa.int64()).to_numpy() // 86_400_000_000
    sane = (days > 19_000) & (days < 40_000)
    home = {workload.use_case + workload.workflow: team for team in TEAMS for workload in team.workloads}
    names = [f"{a}{b}" for a, b in zip(rows["use_case"].to_pylist(), rows["workflow"].to_pylist(), strict=True)]
    team = np.array([home[name].id if name in home else "" for name in names])
    department = np.array([home[name].department if name in home else "" for name in names])
    use_case, stage = (np.array(rows[name].to_pylist()) for name in ("use_case", "stage"))
    classes = sorted(((record.id.removesuffix("*"), record.model_class) for record in records("model")), reverse=True)
    model_class = np.array(
        [next((kind for name, kind in classes if one.startswith(name)), "") for one in rows["model"].to_pylist()]
    )
    columns = {
        "team_id": team,
        "department": department,
        "use_case": use_case,
        "stage": stage,
        "model_class": model_class,
    }
    for budget in records("budget"):
        if budget.id == BUDGET_ID:
            continue
        amount = nanos if budget.unit == "usd" else np.ones(len(nanos))
        wanted = sane.copy()
        for selector, value in budget.scope.selectors().items():
            wanted &= np.isin(columns[selector], value)
        used = amount[wanted].sum()
        if budget.period == "day":
            used = np.bincount(days[wanted] - days[wanted].min(), amount[wanted]).max()
        assert 0 < used < 0.95 * budget.level_units("hard"), budget.id
