"""In: an OpenSSH Ed25519 private key and the principals in force. Out: a signer: a principal whose key it is.

The key is read once and never leaves the process; neither it nor its passphrase is shown by `repr`, logged or printed.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from runtime.signatures import holds, sign
from schemas.control.base import Record
from schemas.control.decisions import Decision
from schemas.control.principals import Principal
from schemas.control.snapshot import ControlSnapshot
from streamgauge.exceptions.problems import Unauthenticated, among

_MAGIC: Final = b"openssh-key-v1\0"
_MAKE: Final = "`ssh-keygen -t ed25519 -f KEY` makes one; its public half stands in the principal's document"


@dataclass(frozen=True, slots=True)
class Signer:
    """A principal who has shown that they hold their key."""

    principal: Principal
    _key: bytes = field(repr=False)
    _passphrase: bytes | None = field(repr=False)

    def decision(
        self,
        subject: Record,
        verdict: Literal["approved", "denied", "revoked", "acknowledged"],
        at: datetime,
        note: str | None = None,
    ) -> Decision:
        """Their signed decision about `subject`, a record whose present decision, if any, is not part of it."""
        said = Decision(verdict=verdict, by=self.principal.id, at=at, via="signature", note=note)
        return said.model_copy(update={"signature": sign(self._key, self._passphrase, said.signed_bytes(subject))})


def authenticate(
    snapshot: ControlSnapshot, path: Path | None, ask_passphrase: Callable[[], str], claimed: str | None = None
) -> Signer:
    """The principal of the key; with `claimed`, none other. Unauthenticated where that cannot be shown.

    `ask_passphrase` is called only for a key that has one.
    """
    if path is None:
        raise Unauthenticated(
            "a decision is signed: say where your private key is, with --key or STREAMGAUGE_SIGNING__KEY_FILE "
            f"({_MAKE})"
        )
    if not path.is_file():
        raise Unauthenticated(f"there is no private key at {path}: {_MAKE}")
    key = path.read_bytes()
    passphrase = ask_passphrase().encode() if _is_encrypted(path, key) else None
    # Whoever signs something never seen before holds the key.
    challenge = b"streamgauge-who-is-there" + secrets.token_bytes(32)
    try:
        proof = sign(key, passphrase, challenge)
    except (ValueError, TypeError) as error:
        raise Unauthenticated(f"the private key {path} cannot be used: {error}") from error
    if claimed is None:
        owners = [one for one in snapshot.principals.values() if _proves(one, proof, challenge)]
        if not owners:
            raise Unauthenticated(
                f"the key {path} is no principal's: its public half must stand as `public_key` in a document of kind "
                "principal that is applied"
            )
        if len(owners) > 1:
            names = ", ".join(sorted(one.id for one in owners))
            raise Unauthenticated(f"the key {path} is that of several principals ({names}): say which with --as")
        return Signer(owners[0], key, passphrase)
    principal = snapshot.principals.get(claimed)
    if principal is None:
        raise Unauthenticated(among("principal", claimed, snapshot.principals))
    if principal.public_key is None:
        raise Unauthenticated(
            f"principal {claimed} has no public key, so nobody can sign as {claimed}: add `public_key` to the "
            "document, or let the decision come by a merged file"
        )
    if not _proves(principal, proof, challenge):
        raise Unauthenticated(f"the key {path} is not the key of principal {claimed}")
    return Signer(principal, key, passphrase)


def _proves(principal: Principal, proof: str, challenge: bytes) -> bool:
    return principal.public_key is not None and holds(principal.public_key, proof, challenge)


def _is_encrypted(path: Path, key: bytes) -> bool:
    """By the name of the cipher, which stands before anything secret."""
    try:
        body = b"".join(line for line in key.splitlines() if line and not line.startswith(b"-----"))
        blob = base64.b64decode(body, validate=True)
    except ValueError as error:
        raise Unauthenticated(f"{path} is no OpenSSH private key: {_MAKE}") from error
    if not blob.startswith(_MAGIC):
        raise Unauthenticated(f"{path} is no OpenSSH private key: {_MAKE}")
    start = len(_MAGIC) + 4
    length = int.from_bytes(blob[start - 4 : start], "big")
    return blob[start : start + length] != b"none"
