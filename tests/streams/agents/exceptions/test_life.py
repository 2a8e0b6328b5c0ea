"""The life of exceptions and acknowledgements: each step once, limits as they hold, under replay and restart."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from runtime.signatures import holds, public_key_of, sign
from schemas.control.budgets import Scope
from schemas.control.exceptions import ExceptionRule, Permission
from schemas.control.principals import Principal
from schemas.control.snapshot import ControlSnapshot
from streams.agents.standing import Standing, alert_home, restore_budgets
from tests.streams.agents.exceptions.papers import MANAGER, REVIEWER, decision, grant, word
from tests.streams.agents.samples import NANO, budget, control, us
from tests.streams.agents.test_budgets import DAY, HOUR, MINUTE, NOON, Desk

MONTH = us("2026-11-01T00:00:00+00:00")


def told(desk: Desk) -> list[tuple[Any, ...]]:
    """(step) of exceptions and (level, state) of budgets, in order."""
    return [
        (alert.exception.step,) if alert.exception is not None else (alert.level, alert.state) for alert in desk.alerts
    ]


def test_a_whole_life_with_what_was_used_of_it() -> None:
    b = budget(limit="100", mode="enforce")
    desk = Desk(b)
    desk.spend(NOON, b, "125")
    request = grant(NOON, NOON + 2 * DAY, decision=None)
    desk.control = control(b, REVIEWER, MANAGER, request, position=10)
    desk.settle()
    approved = grant(NOON, NOON + 2 * DAY)
    desk.control = control(b, REVIEWER, MANAGER, approved, position=11)
    desk.spend(NOON + 5 * MINUTE, b, "1")
    assert desk.status["limit"] == 150 * NANO
    assert (desk.status["extra"], desk.status["exceptions"], desk.status["state"]) == (50 * NANO, ["more"], "warning")
    assert desk.status["plan"] == 100 * NANO
    desk.spend(NOON + DAY, b, "10")
    desk.spend(NOON + 2 * DAY + HOUR, b, "1")
    assert told(desk) == [
        ("warning", "firing"),
        ("soft", "firing"),
        ("hard", "firing"),
        ("requested",),
        ("approved",),
        ("in_force",),
        ("warning", "updated"),
        ("soft", "resolved"),
        ("hard", "resolved"),
        ("expired",),
        ("warning", "updated"),
        ("soft", "firing"),
        ("hard", "firing"),
    ]
    expired = next(one for one in desk.alerts if one.exception is not None and one.exception.step == "expired")
    assert expired.exception is not None
    assert (expired.exception.used_of_extra, expired.exception.extra) == (36 * NANO, 50 * NANO)
    assert (expired.state, expired.severity, expired.revision) == ("resolved", "info", 3)
    assert "$36.00 of it was used" in expired.summary
    resolved = next(one for one in desk.alerts if one.state == "resolved" and one.level == "soft")
    assert "An approved exception adds $50.00" in resolved.summary
    again = desk.alerts[-1]
    # By the exception's end, with the message that passed it: it is dated by that moment.
    assert again.occurred_at == us_text(NOON + 2 * DAY)
    assert (again.level, again.state, again.revision, again.limit) == ("hard", "firing", 2, 100 * NANO)
    assert desk.status["extra"] == 0


def us_text(at_us: int) -> Any:
    from schemas.control.base import us_moment

    return us_moment(at_us)


def test_several_add_up_and_the_first_uses_first() -> None:
    b = budget(limit="100")
    desk = Desk(b)
    one = grant(NOON, NOON + DAY, "20", "one")
    two = grant(NOON + HOUR, NOON + DAY, "30", "two")
    desk.control = control(b, REVIEWER, one, two)
    desk.spend(NOON + 2 * HOUR, b, "130")
    assert desk.status["limit"] == 150 * NANO
    desk.spend(NOON + DAY + HOUR, b, "0")
    used = {
        alert.exception.id: alert.exception.used_of_extra
        for alert in desk.alerts
        if alert.exception is not None and alert.exception.step == "expired"
    }
    assert used == {"one": 20 * NANO, "two": 10 * NANO}


@pytest.mark.parametrize(
    ("why", "records", "by", "via"),
    [
        ("is no principal", (), "grace", "review"),
        ("has not the right", (MANAGER,), "ada", "review"),
        ("has not the right", (Principal(id="grace", rights=("finance",), teams=("other",)),), "grace", "review"),
        ("no public key", (REVIEWER,), "grace", "signature"),
        ("no exception rule", (), "rule/unknown", "rule"),
    ],
)
def test_a_decision_that_does_not_count_is_refused_and_has_no_effect(
    why: str, records: tuple[Any, ...], by: str, via: str
) -> None:
    b = budget(limit="100")
    desk = Desk(b)
    request = grant(NOON, NOON + DAY, decision=decision(by=by, via=via))
    desk.control = control(b, *records, request)
    desk.spend(NOON + HOUR, b, "100")
    assert [step for step in told(desk) if len(step) == 1] == [("requested",), ("refused",)]
    refused = next(one for one in desk.alerts if one.exception is not None and one.exception.step == "refused")
    assert refused.exception is not None
    assert why in (refused.exception.note or "")
    assert desk.status["state"] == "soft"
    assert desk.status["exceptions"] == []


def test_a_signature_must_hold_and_a_rule_must_stand() -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    key = public_key_of(pem, None)
    signer = Principal(id="grace", rights=("security",), departments=("retail",), public_key=f"{key} laptop")
    b = budget(limit="100", scope=Scope(department="retail"))
    bare = grant(NOON, NOON + DAY, decision=None)
    unsigned = decision(via="signature")
    signature = sign(pem, None, unsigned.signed_bytes(bare))
    assert holds(key, signature, unsigned.signed_bytes(bare))
    assert not holds(key, signature, b"other")
    assert not holds("ssh-ed25519 nonsense", signature, b"other")
    signed = bare.model_copy(update={"decision": unsigned.model_copy(update={"signature": signature})})
    moved = signed.model_copy(update={"extra": signed.extra * 2 if signed.extra else None})
    rule = ExceptionRule(id="small", verdict="approve", owner="grace", reason="small ones")
    ruled = grant(NOON, NOON + DAY, decision=decision(by="rule/small", via="rule"))
    for record, limit in ((signed, 150), (moved, 100), (ruled, 150)):
        desk = Desk(b)
        desk.control = control(b, signer, rule, record)
        desk.spend(NOON + HOUR, b, "1")
        assert desk.status["limit"] == limit * NANO


def test_denied_revoked_withdrawn() -> None:
    b = budget()
    desk = Desk(b)
    for position, record in enumerate(
        (
            grant(NOON, NOON + DAY),
            grant(NOON, NOON + DAY, decision=decision("revoked")),
            None,
            grant(NOON, NOON + DAY, exception="other", decision=decision("denied", note="no evidence")),
        )
    ):
        records = () if record is None else (record,)
        desk.control = control(b, REVIEWER, *records, position=10 + position)
        desk.spend(NOON + (position + 1) * MINUTE + 2 * MINUTE, b, "1")
    assert told(desk) == [("requested",), ("approved",), ("in_force",), ("revoked",), ("requested",), ("denied",)]
    desk.control = control(b, REVIEWER, grant(NOON, NOON + DAY, exception="third"), position=20)
    desk.spend(NOON + HOUR, b, "1")
    desk.control = control(b, REVIEWER, position=21)
    desk.settle()
    assert desk.alerts[-1].exception is not None
    assert (desk.alerts[-1].exception.step, desk.alerts[-1].exception.note) == ("revoked", "its record was removed")


def test_a_permission_is_told_at_a_home_of_its_own() -> None:
    permit = Permission(scope=Scope(team="search"), models=("gpt-5*",))
    desk = Desk(budget())
    desk.control = control(budget(), REVIEWER, grant(NOON, NOON + DAY, exception="try", permits=permit))
    desk.spend(NOON + HOUR, budget(), "1")
    assert told(desk) == [("requested",), ("approved",), ("in_force",)]
    assert alert_home(desk.alerts[0]) == "policy/try"
    assert desk.alerts[0].scope.team == "search"
    assert "leave for gpt-5*" in desk.alerts[0].summary


def test_a_manager_acknowledges_soft_once() -> None:
    b = budget(limit="100", mode="enforce")
    desk = Desk(b)
    desk.control = control(b, MANAGER, word(MONTH))
    desk.spend(NOON, b, "90")
    assert told(desk) == [("warning", "firing")], "an early word is told when the level is reached"
    desk.spend(NOON + MINUTE, b, "20")
    desk.spend(NOON + 2 * MINUTE, b, "1")
    assert told(desk)[1:] == [("soft", "firing"), ("soft", "updated")]
    assert "acknowledged by ada" in desk.alerts[-1].summary
    assert "budgets ack b" in desk.alerts[-2].suggested_action
    assert desk.status["acknowledged"]["by"] == "ada"
    assert desk.status["state"] == "soft"


@pytest.mark.parametrize(
    "paper", [word(MONTH, level="hard"), word(MONTH - 30 * DAY), word(MONTH, by="nobody"), word(MONTH, by="bob")]
)
def test_a_word_without_the_right_or_for_another_period_is_none(paper: Any) -> None:
    b = budget(limit="100")
    desk = Desk(b)
    bob = Principal(id="bob", rights=("manager",), teams=("other",))
    desk.control = control(b, MANAGER, bob, paper)
    desk.spend(NOON, b, "130")
    assert all(alert.state == "firing" for alert in desk.alerts)
    assert desk.status["acknowledged"] is None


def test_a_restart_and_a_rebuild_tell_nothing_twice() -> None:
    b = budget(limit="100")
    desk = Desk(b)
    desk.control = control(b, REVIEWER, MANAGER, grant(NOON, NOON + 2 * DAY), word(MONTH))
    desk.spend(NOON + HOUR, b, "160")
    before = told(desk)
    assert ("soft", "updated") in before
    kept = desk.shard.budgets.documents()
    again = Desk(b)
    again.control = desk.control
    book = again.shard.budgets
    book.restore({key: text for key, text in kept.items() if text is not None})
    keys, sums = desk.shard.budgets.totals.table.all()
    book.totals.number(b)
    book.totals.table.put(keys.copy(), sums.copy())
    again.shard.watermarks.now = desk.shard.watermarks.now
    assert again.settle() == []
    # The same from what stands on the topics.
    statuses = [(key, read_status(one)) for key, one in desk.statuses.items()]
    rebuilt = Desk(b)
    rebuilt.control = desk.control
    book = rebuilt.shard.budgets
    book.totals.number(b)
    book.totals.table.put(keys.copy(), sums.copy())
    rebuilt.shard.watermarks.now = desk.shard.watermarks.now
    restore_budgets(
        book, Standing.of(desk.alerts, statuses), desk.control, desk.shard.watermarks.now.watermark_us, whole=True
    )
    assert rebuilt.settle() == []
    assert isinstance(desk.control, ControlSnapshot)


def read_status(values: dict[str, Any]) -> Any:
    from schemas.status import BudgetStatus

    return BudgetStatus.model_validate(values)
