"""An ApacheKafka with three more doors: SASL over TLS, TLS with the client's certificate, and SASL in plain text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streamgauge.embedded.broker import pick_port
from streamgauge.embedded.child import LOOPBACK
from tests.support.certificates import Certificates
from tests.support.kafka import ApacheKafka

USER: Final = "streamgauge"
PASSWORD: Final = "a password, with = and ;"
#: Listener names and what is spoken on them.
LISTENERS: Final = {"LOGIN": "SASL_SSL", "MUTUAL": "SSL", "BARE": "SASL_PLAINTEXT"}


class SecureKafka(ApacheKafka):
    """`address(LISTENER)` is where each door is; `bootstrap` stays the plain one."""

    def __init__(self, certificates: Certificates, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(settings=settings)
        self._certificates = certificates
        self._ports = {name: pick_port() for name in LISTENERS}

    def address(self, listener: str) -> str:
        return f"{LOOPBACK}:{self._ports[listener]}"

    def add_user(self, name: str, password: str) -> None:
        """A login for the SCRAM mechanisms."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            info = ScramCredentialInfo(mechanism, 4_096)
            change = UserScramCredentialUpsertion(name, info, password.encode())
            admin.alter_user_scram_credentials([change])[name].result()

    def _format(self, jars: Path) -> None:
        super()._format(jars)
        path = self._properties_path
        properties = dict(line.split("=", 1) for line in path.read_text().splitlines())
        doors = "".join(f",{name}://{self.address(name)}" for name in LISTENERS)
        properties["listeners"] += doors
        properties["advertised.listeners"] += doors
        properties["listener.security.protocol.map"] += "".join(
            f",{name}:{spoken}" for name, spoken in LISTENERS.items()
        )
        properties |= {
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": _one_line(self._certificates.server_chain),
            "ssl.keystore.key": _one_line(self._certificates.server_key),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.certificates": _one_line(self._certificates.ca),
            "listener.name.mutual.ssl.client.auth": "required",
        }
        for name in ("login", "bare"):
            properties[f"listener.name.{name}.plain.sasl.jaas.config"] = (
                f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            )
            for mechanism in ("scram-sha-256", "scram-sha-512"):
                properties[f"listener.name.{name}.{mechanism}.sasl.jaas.config"] = (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                )
        path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))


def _one_line(pem: Path) -> str:
    """A PEM file as the value of a Java property."""
    text = pem.read_text(encoding="ascii")
    return text[text.index("-----BEGIN") :].strip().replace("\n", "\\n")
