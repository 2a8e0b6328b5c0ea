"""Who may decide what, and that what is signed is what agents accept."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runtime.rights import acknowledgement_fault, covers, exception_fault
from schemas.control.acknowledgements import Acknowledgement
from schemas.control.base import moment_us
from schemas.control.budgets import Scope
from schemas.control.decisions import Decision
from schemas.control.directory import Membership, Sender
from schemas.control.exceptions import ExceptionGrant, Permission
from schemas.control.principals import Principal
from schemas.control.records import dump_record, parse_record
from schemas.control.snapshot import ControlSnapshot
from streamgauge.exceptions.decisions import acknowledge, decide
from streamgauge.exceptions.problems import Refused, Unauthenticated
from streamgauge.exceptions.requests import Wish, make_request, who_may_decide
from streamgauge.exceptions.rules import is_met
from streamgauge.exceptions.signing import Signer, authenticate
from tests.streamgauge.exceptions.people import NOW, grant, principal, rule, snapshot, write_key

AT_US = moment_us(NOW)


def nothing_asked() -> str:
    raise AssertionError("this key has no passphrase")


def house(folder: Path, *more: Any) -> ControlSnapshot:
    return snapshot(
        principal(folder, "ada", "manager", teams=("search",)),
        principal(folder, "fin", "finance"),
        principal(folder, "sec", "security", departments=("tech",)),
        principal(folder, "far", "security", departments=("sales",)),
        Principal(id="keyless", rights=("platform",)),
        *more,
    )


def signer(folder: Path, name: str, here: ControlSnapshot) -> Signer:
    return authenticate(here, folder / name, nothing_asked)


@pytest.mark.parametrize(
    ("teams", "departments", "scope", "covered"),
    [
        ((), (), Scope(), True),
        (("search",), (), Scope(), False),
        (("search",), (), Scope(team="search", stage="production"), True),
        (("search",), (), Scope(team="index"), False),
        ((), ("tech",), Scope(team="search"), True),
        ((), ("tech",), Scope(department="platform"), True),
        ((), ("platform",), Scope(department="tech"), False),
        ((), ("sales",), Scope(team="search"), False),
        ((), ("tech",), Scope(use_case="answers"), False),
        (("search",), (), Scope(user="hash-of-ada"), True),
        ((), ("sales",), Scope(user="hash-of-ada"), False),
        (("search",), (), Scope(user="hash-of-nobody"), False),
    ],
)
def test_a_right_covers_what_lies_below(
    teams: tuple[str, ...], departments: tuple[str, ...], scope: Scope, covered: bool
) -> None:
    here = snapshot(Sender(sender="user", id="hash-of-ada", terms=(Membership(team="search"),)))
    who = Principal(id="p", rights=("security",), teams=teams, departments=departments)
    assert covers(who, scope, here, AT_US) is covered


def test_an_approval_counts_and_survives_its_json(tmp_path: Path) -> None:
    here = house(tmp_path)
    for name in ("fin", "sec"):
        decided = decide(grant(), "approved", signer(tmp_path, name, here), here, NOW, "well argued")
        read = parse_record(dump_record(decided))
        assert isinstance(read, ExceptionGrant)
        assert read == decided
        assert exception_fault(read, here) is None
        assert exception_fault(read.model_copy(update={"extra": Decimal(101)}), here) is not None, "signed as it was"


@pytest.mark.parametrize(
    ("who", "verdict", "given", "why"),
    [
        ("ada", "approved", {"requested_by": "fin"}, "needs platform or finance or security"),
        ("far", "approved", {}, "far has not the right for team search"),
        ("fin", "approved", {"requested_by": "fin"}, "nobody approves their own request"),
        ("fin", "revoked", {}, "not approved, so there is nothing to revoke"),
        ("fin", "approved", {"valid_from": NOW - timedelta(days=9), "valid_to": NOW}, "ended at 2026-11-20 12:00 UTC"),
        ("fin", "denied", {"decision": "rule"}, "was approved by rule/small on 2026-11-20 12:00 UTC: revoke it"),
        ("fin", "approved", {"budget": "gone"}, "budget gone is not known"),
    ],
)
def test_what_is_not_theirs_to_decide_is_refused(
    tmp_path: Path, who: str, verdict: Any, given: dict[str, Any], why: str
) -> None:
    here = house(tmp_path, rule())
    by_rule = Decision(verdict="approved", by="rule/small", at=NOW, via="rule")
    asked = grant(**(given | ({"decision": by_rule} if "decision" in given else {})))
    with pytest.raises(Refused, match=why):
        decide(asked, verdict, signer(tmp_path, who, here), here, NOW, None)


def test_a_second_principal_with_the_same_key_is_the_same_person(tmp_path: Path) -> None:
    fin = principal(tmp_path, "fin", "finance")
    here = snapshot(fin, fin.model_copy(update={"id": "fin-too", "public_key": f"{fin.public_key} at home"}))
    as_other = authenticate(here, tmp_path / "fin", nothing_asked, "fin-too")
    with pytest.raises(Refused, match="nobody approves their own request"):
        decide(grant(requested_by="fin"), "approved", as_other, here, NOW, None)


def test_whoever_asked_may_take_it_back(tmp_path: Path) -> None:
    here = house(tmp_path)
    approved = decide(grant(), "approved", signer(tmp_path, "fin", here), here, NOW, None)
    revoked = decide(approved, "revoked", signer(tmp_path, "ada", here), here, NOW, "not needed")
    assert exception_fault(revoked, here) is None
    assert not revoked.is_approved


def test_decisions_that_do_not_count(tmp_path: Path) -> None:
    """What somebody could publish past the command, and agents refuse."""
    here = house(tmp_path, rule(), rule(id="never", verdict="deny"))

    def fault(**more: Any) -> str:
        said = {"verdict": "approved", "by": "fin", "at": NOW, "via": "signature", **more}
        return exception_fault(grant(decision=Decision.model_validate(said)), here) or "counts"

    assert fault() == "the signature is not one of fin's key over this record"
    assert fault(signature="bm90IG9uZQ==") == "the signature is not one of fin's key over this record"
    assert fault(by="mallory") == "mallory is no principal"
    assert fault(by="keyless") == "keyless has no public key, so no signature of theirs can be checked"
    assert fault(by="keyless", via="review") == "counts"
    assert fault(by="rule/gone", via="rule") == "rule/gone is no exception rule that is in force"
    assert fault(by="small", via="rule") == "small is no exception rule that is in force"
    assert fault(by="rule/small", via="rule") == "counts"
    assert fault(by="rule/never", via="rule") == "rule/never is a rule by which requests are denied"
    assert fault(by="rule/small", via="rule", verdict="revoked").endswith("is a rule by which requests are approved")
    assert fault(by="ada", via="review").startswith("ada has not the right for team search")
    ack = Acknowledgement(
        id="search-month", period_start=NOW, decision=Decision(verdict="approved", by="ada", at=NOW, via="review")
    )
    assert acknowledgement_fault(ack, here) == "budgets are acknowledged, not approved"


def test_managers_acknowledge_soft_limits_and_reviewers_hard_ones(tmp_path: Path) -> None:
    here = house(tmp_path)
    ada, fin, far = (signer(tmp_path, name, here) for name in ("ada", "fin", "far"))
    soft = acknowledge("search-month", "soft", ada, here, None, NOW, None)
    assert acknowledgement_fault(soft, here) is None
    assert soft.period_start.isoformat() == "2026-11-01T00:00:00+00:00"
    with pytest.raises(Refused, match="ada has not the right"):
        acknowledge("search-month", "hard", ada, here, None, NOW, None)
    with pytest.raises(Refused, match="far has not the right"):
        acknowledge("search-month", "soft", far, here, None, NOW, None)
    again = house(tmp_path, soft)
    ada, fin = (signer(tmp_path, name, again) for name in ("ada", "fin"))
    # The keys were made anew, so the word given with the old one counts no more.
    assert acknowledgement_fault(soft, again) is not None
    soft = acknowledge("search-month", "soft", ada, again, None, NOW, None)
    known = ControlSnapshot(0, {**again.records, "acknowledgement/search-month": soft})
    with pytest.raises(Refused, match="acknowledged for this period already, by ada"):
        acknowledge("search-month", "soft", fin, known, None, NOW, None)
    assert acknowledge("search-month", "hard", fin, known, None, NOW, None).level == "hard"
    with pytest.raises(Refused, match="did you mean 'search-month'"):
        acknowledge("serch-month", "soft", fin, here, None, NOW, None)


def test_who_is_at_the_keyboard(tmp_path: Path) -> None:
    here = house(tmp_path)
    assert signer(tmp_path, "fin", here).principal.id == "fin"
    key = (tmp_path / "fin").read_bytes()
    assert key not in repr(signer(tmp_path, "fin", here)).encode()
    for path, claimed, why in (
        (None, None, "say where your private key is"),
        (tmp_path / "gone", None, "there is no private key at"),
        (tmp_path / "fin", "ada", "is not the key of principal ada"),
        (tmp_path / "fin", "keyless", "has no public key"),
        (tmp_path / "fin", "finn", "did you mean 'fin'"),
    ):
        with pytest.raises(Unauthenticated, match=why):
            authenticate(here, path, nothing_asked, claimed)
    (tmp_path / "junk").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(Unauthenticated, match="is no OpenSSH private key"):
        authenticate(here, tmp_path / "junk", nothing_asked)
    write_key(tmp_path / "stranger")
    with pytest.raises(Unauthenticated, match="is no principal's"):
        authenticate(here, tmp_path / "stranger", nothing_asked)


def test_a_passphrase_is_asked_for_and_must_be_right(tmp_path: Path) -> None:
    public = write_key(tmp_path / "locked", "open sesame")
    here = snapshot(Principal(id="grace", rights=("platform",), public_key=public))
    assert authenticate(here, tmp_path / "locked", lambda: "open sesame").principal.id == "grace"
    with pytest.raises(Unauthenticated, match="cannot be used") as refused:
        authenticate(here, tmp_path / "locked", lambda: "open barley")
    assert "barley" not in str(refused.value)


def wish(**more: Any) -> Wish:
    fields: dict[str, Any] = {"budget": "search-month", "extra": Decimal(5), "days": 3}
    return Wish(justification="launch", expected_impact="answers", **(fields | more))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"budget": "serch-month"}, "budget 'serch-month' is not known; did you mean 'search-month'"),
        ({"extra": None}, "with --extra"),
        ({"extra": Decimal(-5)}, "--extra -5 is not more than nothing"),
        ({"extra": Decimal("0.0000000001")}, "finer than one billionth of a dollar"),
        ({"budget": "offers-calls", "extra": Decimal("0.5")}, "finer than one call"),
        ({"days": None}, "say when, with --until or --days"),
        ({"until": NOW + timedelta(days=1)}, "one of the two"),
        ({"days": None, "until": NOW - timedelta(days=1)}, "the end 2026-11-19 12:00 UTC is past"),
        ({"valid_from": NOW + timedelta(days=9), "days": None, "until": NOW + timedelta(days=8)}, "is not after"),
        ({"id": "no spaces"}, "id: String should match"),
        ({"id": "launch"}, "exception launch is there already"),
        ({"budget": "offers-calls"}, "ada cannot ask for team offers"),
    ],
)
def test_requests_that_could_never_be_in_order(tmp_path: Path, given: dict[str, Any], why: str) -> None:
    here = house(tmp_path, grant())
    with pytest.raises(Refused, match=why):
        make_request(wish(**given), here.principals["ada"], here, NOW)


def test_a_permission_of_a_department_names_those_below(tmp_path: Path) -> None:
    here = house(tmp_path)
    leave = Permission(scope=Scope(department="tech"), models=("opus-*",))
    asked = make_request(wish(budget=None, extra=None, permits=leave), here.principals["fin"], here, NOW)
    assert asked.permits is not None
    assert asked.permits.scope.within == ("tech", "platform")
    wrong = Permission(scope=Scope(department="teck"), models=("opus-*",))
    with pytest.raises(Refused, match="department 'teck' is not known; did you mean 'tech'"):
        make_request(wish(budget=None, extra=None, permits=wrong), here.principals["fin"], here, NOW)


def test_what_is_asked_for_now_begins_where_the_budget_has_counted_to(tmp_path: Path) -> None:
    """Event time may stand still, and a hard stop of everything would let no call move it."""
    here = house(tmp_path)
    night = NOW - timedelta(hours=9)
    asked = make_request(wish(), here.principals["ada"], here, NOW, night)
    assert (asked.valid_from, asked.valid_to) == (night, NOW + timedelta(days=3))
    assert is_met(rule(days_at_most=3), asked, here), "the hours before it are not asked for"
    ahead = make_request(wish(), here.principals["ada"], here, NOW, NOW + timedelta(hours=1))
    assert ahead.valid_from == NOW
    later = make_request(wish(valid_from=NOW + timedelta(days=1)), here.principals["ada"], here, NOW, night)
    assert later.valid_from == NOW + timedelta(days=1)


def test_a_request_names_who_may_decide(tmp_path: Path) -> None:
    here = house(tmp_path)
    asked = make_request(wish(), here.principals["ada"], here, NOW)
    assert asked.id.startswith("search-month-")
    assert asked.valid_to == NOW + timedelta(days=3)
    assert [one.id for one in who_may_decide(asked, here, NOW)] == ["fin", "sec", "keyless"]
    own = asked.model_copy(update={"requested_by": "fin"})
    assert [one.id for one in who_may_decide(own, here, NOW)] == ["sec", "keyless"]
