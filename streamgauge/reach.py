"""In: a Kafka connection. Out: nothing once the cluster answers, else one sentence about why it does not.

librdkafka retries for ever and says why only through a callback; people want the reason at once.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Final, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from runtime.connection import KafkaConnection

_HINTS: Final = {
    KafkaError._SSL: "check kafka.tls.ca_file and that the port speaks TLS",
    KafkaError._AUTHENTICATION: "check kafka.sasl.username, STREAMGAUGE_KAFKA__SASL__PASSWORD and kafka.sasl.mechanism",
    KafkaError._RESOLVE: "check the host name in kafka.bootstrap",
}
#: These do not go away by waiting.
_FATAL: Final = (KafkaError._AUTHENTICATION, KafkaError._SSL)


class KafkaUnreachable(RuntimeError):
    """The cluster does not answer us. `waiting_helps` is False where the settings are wrong."""

    def __init__(self, message: str, *, waiting_helps: bool) -> None:
        super().__init__(message)
        self.waiting_helps = waiting_helps


def reach_kafka(connection: KafkaConnection, timeout_s: float = 8.0) -> str:
    """The cluster id. Raises KafkaUnreachable."""
    refused = [reason for server in connection.bootstrap.split(",") if (reason := _connect(server.strip()))]
    if len(refused) == len(connection.bootstrap.split(",")):
        raise KafkaUnreachable(
            f"Kafka at {connection.bootstrap} cannot be reached ({refused[0]}): start it with `streamgauge up`, or say "
            "where it is with STREAMGAUGE_KAFKA__BOOTSTRAP",
            waiting_helps=True,
        )
    errors: list[KafkaError] = []
    config: dict[str, Any] = {**connection.librdkafka(), "error_cb": errors.append, "log_level": 0}
    admin = AdminClient(config)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            cluster: str | None = cast("Any", admin.list_topics(timeout=1.0)).cluster_id
        except KafkaException as error:
            # The reason arrives by the callback, which runs within poll.
            admin.poll(0.1)
            cause = next((one for one in errors if one.code() in _HINTS), None)
            if cause is None and time.monotonic() < deadline:
                continue
            raise _refused(connection, cause or (errors[-1] if errors else error.args[0])) from error
        return cluster or "unknown-cluster"


def _refused(connection: KafkaConnection, cause: KafkaError) -> KafkaUnreachable:
    hint = _HINTS.get(cause.code(), "check kafka.tls and kafka.sasl: the port answers, but not as Kafka")
    return KafkaUnreachable(
        f"Kafka at {connection.bootstrap} does not let us in over {connection.security_protocol} "
        f"({cause.str()}): {hint}",
        waiting_helps=cause.code() not in _FATAL,
    )


def _connect(server: str) -> str | None:
    """Why a TCP connection fails; None when it does not."""
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3.0):
            return None
    except ValueError:
        return f"{server!r} is not HOST:PORT"
    except OSError as error:
        return error.strerror or str(error)
