"""In: an OpenSSH Ed25519 key and bytes. Out: a signature over them, and whether one holds.

Only Ed25519: one algorithm, no parameters, and `ssh-keygen -t ed25519` makes the keys that people have already.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)


class KeyUnusable(ValueError):
    """A key that cannot be read or is not Ed25519. The message says which of the two, and never holds the key."""


def sign(private_key_openssh: bytes, passphrase: bytes | None, data: bytes) -> str:
    """Base64 signature over `data`. Raises KeyUnusable."""
    return base64.b64encode(_private(private_key_openssh, passphrase).sign(data)).decode()


def public_key_of(private_key_openssh: bytes, passphrase: bytes | None) -> str:
    """`ssh-ed25519 AAAA…` of a private key, without a comment. Raises KeyUnusable."""
    public = _private(private_key_openssh, passphrase).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def same_key(left: str, right: str) -> bool:
    """Whether two OpenSSH public keys are one, whatever comments follow them."""
    return left.split()[:2] == right.split()[:2]


def holds(public_key_openssh: str, signature: str, data: bytes) -> bool:
    """Whether the base64 signature over `data` was made with the private part of the key. A key or a signature that
    cannot be read proves nothing.
    """
    try:
        _public(public_key_openssh).verify(base64.b64decode(signature, validate=True), data)
    except (KeyUnusable, InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def check_public_key(public_key_openssh: str) -> None:
    """Raises KeyUnusable unless it is an OpenSSH Ed25519 public key."""
    _public(public_key_openssh)


def _private(text: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    try:
        key = load_ssh_private_key(text, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(
            f"the private key cannot be read ({_first_line(error)}): it takes an OpenSSH key and its passphrase"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable("the private key is not Ed25519: make one with `ssh-keygen -t ed25519`")
    return key


def _public(text: str) -> Ed25519PublicKey:
    try:
        key = load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(
            f"the public key cannot be read ({_first_line(error)}): it must be a line such as `ssh-ed25519 AAAA…`"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable("the public key is not Ed25519: make one with `ssh-keygen -t ed25519`")
    return key


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
