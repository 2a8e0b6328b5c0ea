"""`streamgauge exceptions approve|deny|revoke`: one signed decision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.options import Json, settings_of
from streamgauge.cli.signing_options import As, Key, Note, open_desk

if TYPE_CHECKING:
    from streamgauge.exceptions.decisions import Verdict

Exception_ = Annotated[str, typer.Argument(metavar="EXCEPTION", help="Its id.", show_default=False)]


def approve_command(
    context: typer.Context,
    exception: Exception_,
    claimed: As = None,
    key: Key = None,
    note: Note = None,
    json: Json = False,
) -> None:
    """Approve what somebody else asked for; it is in force from its beginning to its end.

    It needs one of the rights platform, finance and security for the scope, and your signature.
    """
    _decide(context, exception, "approved", claimed, key, note, json=json)


def deny_command(
    context: typer.Context,
    exception: Exception_,
    claimed: As = None,
    key: Key = None,
    note: Note = None,
    json: Json = False,
) -> None:
    """Deny a request. It needs the same right as its approval."""
    _decide(context, exception, "denied", claimed, key, note, json=json)


def revoke_command(
    context: typer.Context,
    exception: Exception_,
    claimed: As = None,
    key: Key = None,
    note: Note = None,
    json: Json = False,
) -> None:
    """End an approved exception before its time. Whoever may approve may revoke, and so may who asked for it."""
    _decide(context, exception, "revoked", claimed, key, note, json=json)


def _decide(
    context: typer.Context,
    exception: str,
    verdict: Verdict,
    claimed: str | None,
    key: Path | None,
    note: str | None,
    *,
    json: bool,
) -> None:
    from streamgauge.cli.output import emit_json, moment
    from streamgauge.exceptions.decisions import decide, find
    from streamgauge.exceptions.standing import now_utc, standing_of

    desk, now = open_desk(settings_of(context)), now_utc()
    grant = find(exception, desk.snapshot)
    decided = decide(grant, verdict, desk.signer(key, claimed), desk.snapshot, now, note)
    desk.publish(decided)
    one = standing_of(decided, desk.snapshot, now)
    if json:
        emit_json(one.as_json())
        return
    by = decided.decision.by if decided.decision is not None else ""
    end = f" until {moment(decided.valid_to)} UTC" if verdict == "approved" else ""
    start = f" from {moment(decided.valid_from)}" if one.state == "approved" else ""
    typer.echo(f"{decided.id}: {one.amount()} on {one.about()}{start}{end}: {verdict} by {by}.")
