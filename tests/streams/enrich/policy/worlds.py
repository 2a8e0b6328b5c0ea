"""A source of chance in; documents of a small company and events on them out, of few names, so that they meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pydantic import TypeAdapter

from schemas.control.records import ControlRecord, parse_record
from tests.streams.enrich.policy.brute_force import Documents

NAMES: dict[str, tuple[str | None, ...]] = {
    "team_id": ("search", "risk", "data", "unattributed"),
    "project_id": ("p0", None),
    "department": ("house", "engineering", "platform", "finance", None),
    "use_case": ("triage", "review", "poems", "unheard", None),
    "workflow": ("nightly", "hourly", None),
    "role": ("analyst", "engineer", None),
    "stage": ("production", "exploratory", None),
    "criticality": ("low", "critical", None),
    "data_class": ("public", "internal", "restricted", "odd", None),
    "provider": ("openai", "anthropic", "azure", None),
    "model": ("gpt-5", "gpt-5-mini", "o3", "o3-pro", "claude-opus"),
    "model_class": ("small", "frontier", None),
    "approval": ("e0", "e1", "e2", "e3", "made-up", None),
    "user_hash": ("0a", None),
    "latency_ms": ("20", None),
    "prompt_hash": ("ab", None),
}
_PATTERNS = ("gpt-5", "gpt-*", "o3*", "o3-pro", "claude-*", "*")
_PROVIDERS = ("openai", "a*", "azure")
_DAY = datetime(2026, 3, 2, tzinfo=UTC)
_BOSS = {"kind": "principal", "id": "boss", "rights": ["platform"]}


def moment(chance: Random) -> datetime:
    """Some hour of a few days: boundaries and events often meet exactly."""
    return _DAY + timedelta(hours=6 * chance.randrange(12))


def _some(chance: Random, values: tuple[str | None, ...]) -> list[str]:
    known = [value for value in values if value is not None]
    return chance.sample(known, chance.randint(1, min(2, len(known))))


def _choice(chance: Random) -> dict[str, Any]:
    choice = {"models": _some(chance, _PATTERNS)}
    return choice | ({"providers": _some(chance, _PROVIDERS)} if chance.random() < 0.4 else {})


def _policy(chance: Random, number: int) -> dict[str, Any]:
    selectors = ("department", "team", "use_case", "workflow", "role", "stage", "criticality", "data_class")
    picked = chance.sample(selectors, chance.choice((0, 0, 1, 1, 2)))
    rules: dict[str, Any] = {
        "allow": _choice(chance),
        "forbid": _choice(chance),
        "discourage": _choice(chance),
        "needs_approval": True,
        "unattended": _some(chance, NAMES["workflow"]) if chance.random() < 0.7 else [],
        "required_fields": chance.sample(
            ["workflow", "team_id", "project_id", "user_id", "latency_ms", "prompt_hash", "meters"], 2
        ),
        "retention_class": chance.choice(["short", "long"]),
    }
    said = chance.sample(list(rules), chance.choice((1, 1, 1, 2, 3)))
    when = {name: _some(chance, NAMES["team_id" if name == "team" else name]) for name in picked}
    base = {"kind": "policy", "id": f"p{number}", "when": when, "owner": "Grace", "reason": "so it is"}
    return base | {name: rules[name] for name in said}


def _exception(chance: Random, number: int) -> dict[str, Any]:
    start = moment(chance)
    subject: dict[str, Any] = {"budget": "b", "extra": "5"}
    if chance.random() < 0.7:
        selectors = ("team", "project", "use_case", "stage", "model_class", "data_class", "workflow")
        picked = chance.sample(selectors, chance.choice((0, 1, 1, 2)))
        names = {"team": "team_id", "project": "project_id"}
        scope = {name: _some(chance, NAMES[names.get(name, name)])[0] for name in picked}
        subject = {"permits": {"scope": scope} | _choice(chance)}
    exception = {
        "kind": "exception",
        "id": f"e{number}",
        **subject,
        "justification": "it helps",
        "expected_impact": "some",
        "requested_by": "Ada",
        "requested_at": "2026-03-01T00:00:00+00:00",
        "valid_from": start.isoformat(),
        "valid_to": (start + timedelta(hours=6 * chance.randint(1, 8))).isoformat(),
    }
    if chance.random() < 0.8:
        decision = {"verdict": "approved", "by": "boss", "at": "2026-03-01T00:00:00+00:00", "via": "review"}
        decision["verdict"] = chance.choice(("approved", "approved", "approved", "denied", "revoked"))
        decision["by"] = chance.choice(("boss", "boss", "boss", "nobody"))
        exception["decision"] = decision
    return exception


def documents(chance: Random) -> tuple[Documents, list[ControlRecord]]:
    """The same documents as plain values and as control records."""
    use_cases = []
    for name in chance.sample(["triage", "review", "poems"], chance.randint(0, 3)):
        one = {"kind": "use_case", "id": name, "owner": "Linus", "criticality": chance.choice(["low", "critical"])}
        one |= {"automation": chance.choice(["suggests", "acts_alone"])} if chance.random() < 0.8 else {}
        use_cases.append(one | ({"data_class": "internal"} if chance.random() < 0.5 else {}))
    models = []
    for pattern in chance.sample(_PATTERNS[:-1], chance.randint(0, 4)):
        one = {"kind": "model", "id": pattern, "model_class": "small"}
        models.append(one | ({"approved_for": _some(chance, NAMES["data_class"][:3])} if chance.random() < 0.5 else {}))
    departments = [
        {"kind": "department", "id": "engineering", "parent": "house"},
        {"kind": "department", "id": "platform", "parent": "engineering"},
        {"kind": "department", "id": "house"},
    ]
    policies = [_policy(chance, number) for number in range(chance.randint(0, 5))]
    exceptions = [_exception(chance, number) for number in range(chance.randint(0, 4))]
    budget = {"kind": "budget", "id": "b", "limit": "9", "period": "month"}
    plain: list[dict[str, Any]] = [*use_cases, *models, *departments, *policies, *exceptions, budget, _BOSS]
    dump = TypeAdapter(dict[str, Any]).dump_json
    records = [parse_record(dump(one)) for one in plain]
    return Documents(policies, use_cases, models, departments, exceptions, {"boss"}), records


def event(chance: Random) -> dict[str, Any]:
    """As it stands after attribution, with some measures."""
    one: dict[str, Any] = {name: chance.choice(values) for name, values in NAMES.items()}
    one |= {"at": moment(chance) - timedelta(microseconds=chance.choice((0, 0, 1)))}
    one["latency_ms"] = None if one["latency_ms"] is None else 20
    one["meters"] = {"images": 1} if chance.random() < 0.5 else {}
    return one | {"user_id": one["user_hash"], "cost_nanousd": chance.choice((None, 5, 70)), "calls": 1}
