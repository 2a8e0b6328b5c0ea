"""A folder in; a throw-away authority with a server's and a client's certificate out, made by the `openssl` command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files. The server's name is `server_name`; `other_ca` signed nothing. The client's key has `key_password`."""

    ca: Path
    other_ca: Path
    server_chain: Path
    server_key: Path
    client_cert: Path
    client_key: Path
    key_password: str


def make_certificates(folder: Path, server_name: str = "IP:127.0.0.1") -> Certificates:
    """Make everything below `folder`, valid for two days."""
    password = "key-password"
    _authority(folder, "ca")
    _authority(folder, "other")
    _signed(folder, "server", server_name, "serverAuth")
    _signed(folder, "client", "DNS:client", "clientAuth")
    client_key = folder / "client.encrypted.pem"
    _openssl("pkcs8", "-topk8", "-in", folder / "client.key", "-out", client_key, "-passout", f"pass:{password}")
    return Certificates(
        folder / "ca.pem",
        folder / "other.pem",
        folder / "server.pem",
        folder / "server.key",
        folder / "client.pem",
        client_key,
        password,
    )


def _authority(folder: Path, name: str) -> None:
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=test {name}"),
        *(
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-keyout",
            folder / f"{name}.key",
            "-out",
            folder / f"{name}.pem",
        ),
    )


def _signed(folder: Path, name: str, alternative: str, usage: str) -> None:
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={alternative}\nextendedKeyUsage={usage}\n", encoding="utf-8")
    request = folder / f"{name}.csr"
    _openssl(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        f"/CN={name}",
        "-keyout",
        folder / f"{name}.key",
        "-out",
        request,
    )
    _openssl(
        *("x509", "-req", "-in", request, "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial"),
        *("-days", "2", "-extfile", extensions, "-out", folder / f"{name}.pem"),
    )


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
