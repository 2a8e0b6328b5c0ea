"""A data folder in; one Apache Kafka node (KRaft, combined mode) on loopback out, to start, stop, kill and restart.

`python -m tests.support.kafka` runs one in the foreground and prints its bootstrap address.
"""

from __future__ import annotations

import base64
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from streamgauge.embedded.broker import BrokerStartError, pick_port, wait_for_metadata
from streamgauge.embedded.child import LOOPBACK, kill_child, log_tail, spawn_child, stop_child
from tests.support.kafka_jars import kafka_jars

START_DEADLINE_S: Final = 60.0
STOP_GRACE_S: Final = 20.0
ADDRESS_IN_USE: Final = "Address already in use"

# One node, few internal partitions, no waiting for members that never come: what makes a start and a join fast.
SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
    # A killed broker may register again only when its old session has run out; the default keeps a restart waiting 9 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


class ApacheKafka:
    """One broker process and its data folder; `with ApacheKafka() as kafka:` gives `kafka.bootstrap`.

    `stop` and `kill` leave data and ports in place, so that `start` brings the same broker back. Leaving the `with`
    block (or `discard`) removes a data folder that was made here. `settings` are added to server.properties.
    Start it from a thread that outlives it (see `spawn_child`).
    """

    def __init__(
        self, data_dir: Path | None = None, *, heap_mb: int = 512, settings: Mapping[str, str] | None = None
    ) -> None:
        self._own_dir = data_dir is None
        self._dir = data_dir or Path(tempfile.mkdtemp(prefix="streamgauge-kafka-"))
        self._heap_mb = heap_mb
        self._settings = {**SETTINGS, **(settings or {})}
        self.cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port` for `bootstrap.servers`; the same after a restart."""
        if self._port == 0:
            raise BrokerStartError("Apache Kafka was not started yet: call start() or use it in a `with` block")
        return f"{LOOPBACK}:{self._port}"

    @property
    def alive(self) -> bool:
        """True while the broker's process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the JVM."""
        if self._process is None:
            raise BrokerStartError("Apache Kafka is not running: call start() or use it in a `with` block")
        return self._process.pid

    def start(self) -> None:
        """Start the broker, formatting its folder on the first start; returns when it answers metadata.

        Raises `KafkaUnavailableError` where it cannot run at all, `BrokerStartError` with the log's end otherwise.
        """
        if self.alive:
            return
        jars = kafka_jars()
        first_start = self._port == 0
        if first_start:
            self._format(jars)
        try:
            self._launch(jars)
        except BrokerStartError as error:
            # Between picking a port and listening on it, somebody else may take it; on a restart the ports are fixed.
            if not (first_start and ADDRESS_IN_USE in str(error)):
                raise
            self._discard_data()
            self._format(jars)
            self._launch(jars)

    def stop(self) -> None:
        """End the broker in an orderly way; data and ports stay for the next `start`."""
        if self._process is not None:
            stop_child(self._process, grace_s=STOP_GRACE_S)
            self._process = None

    def kill(self) -> None:
        """End the broker as a crash would (SIGKILL); data and ports stay for the next `start`."""
        if self._process is not None:
            kill_child(self._process)
            self._process = None

    def discard(self) -> None:
        """Kill the broker and remove its data folder, if it was made here."""
        self.kill()
        if self._own_dir:
            shutil.rmtree(self._dir, ignore_errors=True)

    def log_tail(self, lines: int = 25) -> str:
        """The end of the broker's log."""
        return log_tail(self._log_path, lines)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.discard()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()

    @property
    def _log_path(self) -> Path:
        return self._dir / "server.log"

    @property
    def _properties_path(self) -> Path:
        return self._dir / "server.properties"

    def _format(self, jars: Path) -> None:
        self._dir.mkdir(parents=True, exist_ok=True)
        self._port, controller_port = pick_port(), pick_port()
        properties = self._settings | {
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self._port},CONTROLLER://{LOOPBACK}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self._port}",
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
            "log.dirs": str(self._dir / "data"),
        }
        self._properties_path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        command = [*self._java(jars, heap_mb=128), "kafka.tools.StorageTool", "format"]
        # In one word: a random id may begin with a dash.
        command += [f"--cluster-id={self.cluster_id}", "--config", str(self._properties_path)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BrokerStartError(f"Apache Kafka could not format {self._dir}:\n{(done.stdout + done.stderr)[-2000:]}")

    def _launch(self, jars: Path) -> None:
        command = [*self._java(jars, heap_mb=self._heap_mb), "kafka.Kafka", str(self._properties_path)]
        self._process = spawn_child(command, log_path=self._log_path)
        try:
            wait_for_metadata(
                self._port, self.cluster_id, alive=lambda: self.alive, deadline=time.monotonic() + START_DEADLINE_S
            )
        except BrokerStartError as error:
            message = f"{error}; the end of its log:\n{self.log_tail()}"
            self.kill()
            raise BrokerStartError(message) from error

    def _java(self, jars: Path, *, heap_mb: int) -> list[str]:
        options = [f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]
        options += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", f"-Dkafka.logs.dir={self._dir}"]
        return ["java", *options, "-cp", str(jars / "*")]

    def _discard_data(self) -> None:
        shutil.rmtree(self._dir / "data", ignore_errors=True)
        self._log_path.unlink(missing_ok=True)


def main() -> None:
    """Run one broker until Ctrl-C or SIGTERM; its data goes with it."""
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    with ApacheKafka() as kafka:
        print(kafka.bootstrap, flush=True)
        while kafka.alive and not ended.wait(1.0):
            pass
        if not ended.is_set():
            raise BrokerStartError(f"Apache Kafka ended by itself; the end of its log:\n{kafka.log_tail()}")


if __name__ == "__main__":
    main()
