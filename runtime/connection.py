"""In: where Kafka is and how to speak to it. Out: the same settings for both our clients, librdkafka and aiokafka."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the trust root and, for mutual TLS, of our own certificate. Paths; None: the system's roots."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)
    verify_hostname: bool = True


@dataclass(frozen=True, slots=True)
class Sasl:
    mechanism: SaslMechanism
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """One cluster. `tls` None: plain text; `sasl` None: no login.

    `fetch_wait_ms`: how long a broker may hold an empty fetch. The embedded broker holds every one for half of it.
    """

    bootstrap: str
    tls: Tls | None = None
    sasl: Sasl | None = None
    client_id: str = "streamgauge"
    session_timeout_ms: int = 45_000
    fetch_wait_ms: int = 500

    @property
    def security_protocol(self) -> str:
        return ("SASL_" if self.sasl else "") + ("SSL" if self.tls else "PLAINTEXT")

    def librdkafka(self, **more: Any) -> dict[str, Any]:
        """Configuration of a confluent-kafka client; `more` uses `_` for `.` and is added on top. Callbacks (`error_cb`
        and the like) and `log_level` are called so by the client itself.
        """
        config: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "client.id": self.client_id,
            "security.protocol": self.security_protocol,
            # Warnings and worse: what the library notes besides is of no use to people.
            "log_level": 4,
        }
        if self.tls is not None:
            config |= {
                "ssl.ca.location": self.tls.ca_file,
                "ssl.certificate.location": self.tls.cert_file,
                "ssl.key.location": self.tls.key_file,
                "ssl.key.password": self.tls.key_password,
                "ssl.endpoint.identification.algorithm": "https" if self.tls.verify_hostname else "none",
            }
        if self.sasl is not None:
            config |= {
                "sasl.mechanism": self.sasl.mechanism,
                "sasl.username": self.sasl.username,
                "sasl.password": self.sasl.password,
            }
        config |= {_property(name): value for name, value in more.items()}
        return {name: value for name, value in config.items() if value is not None}

    def consumer(self, group: str, **more: Any) -> dict[str, Any]:
        """Configuration of a consumer that commits by hand and never resets its offsets silently."""
        defaults: dict[str, Any] = {
            "group_id": group,
            "session_timeout_ms": self.session_timeout_ms,
            "fetch_wait_max_ms": self.fetch_wait_ms,
            "enable_auto_commit": False,
            "enable_auto_offset_store": False,
            "auto_offset_reset": "error",
        }
        return self.librdkafka(**(defaults | more))

    def ssl_context(self) -> ssl.SSLContext | None:
        """For aiokafka, and so for Faust. None without TLS. OSError when a file cannot be read."""
        if self.tls is None:
            return None
        context = ssl.create_default_context(cafile=self.tls.ca_file)
        context.check_hostname = self.tls.verify_hostname
        if self.tls.cert_file is not None:
            context.load_cert_chain(self.tls.cert_file, self.tls.key_file, self.tls.key_password)
        return context


def _property(name: str) -> str:
    return name if name.endswith("_cb") or name == "log_level" else name.replace("_", ".")
