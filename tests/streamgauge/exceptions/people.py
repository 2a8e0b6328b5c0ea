"""In: names. Out: principals with keys of their own, and a house's control records, for tests about decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from schemas.control.budgets import Budget, Scope
from schemas.control.departments import Department
from schemas.control.directory import Team, TeamTerm
from schemas.control.exceptions import ExceptionGrant, ExceptionRule
from schemas.control.principals import Principal, Right
from schemas.control.records import ControlRecord, record_key
from schemas.control.snapshot import ControlSnapshot

NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)


def write_key(path: Path, passphrase: str | None = None) -> str:
    """Make a private key at `path`; returns its public half."""
    key = Ed25519PrivateKey.generate()
    lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, lock))
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def principal(folder: Path, name: str, *rights: Right, **more: Any) -> Principal:
    """One with a key at `folder/NAME`."""
    return Principal(id=name, rights=rights or ("manager",), public_key=write_key(folder / name), **more)


def company() -> list[ControlRecord]:
    """Two departments, one below the other, three teams, a budget each."""
    return [
        Department(id="tech"),
        Department(id="platform", parent="tech"),
        Department(id="sales"),
        Team(id="search", terms=(TeamTerm(department="platform"),)),
        Team(id="index", terms=(TeamTerm(department="tech"),)),
        Team(id="offers", terms=(TeamTerm(department="sales"),)),
        Budget(id="search-month", scope=Scope(team="search"), limit=Decimal(1_000), period="month", mode="enforce"),
        Budget(id="offers-calls", scope=Scope(team="offers"), unit="calls", limit=Decimal(100), period="day"),
    ]


def snapshot(*more: ControlRecord) -> ControlSnapshot:
    records = {record_key(one): one for one in (*company(), *more)}
    return ControlSnapshot(len(records), records, {key: offset for offset, key in enumerate(records)})


def grant(**more: Any) -> ExceptionGrant:
    fields: dict[str, Any] = {
        "id": "launch",
        "budget": "search-month",
        "extra": Decimal(100),
        "justification": "launch week",
        "expected_impact": "more answers",
        "requested_by": "ada",
        "requested_at": NOW,
        "valid_from": NOW,
        "valid_to": NOW + timedelta(days=7),
    }
    return ExceptionGrant.model_validate(fields | more)


def rule(name: str = "small", verdict: str = "approve", **more: Any) -> ExceptionRule:
    fields: dict[str, Any] = {"id": name, "verdict": verdict, "owner": "grace", "reason": "small and short"}
    return ExceptionRule.model_validate(fields | more)
