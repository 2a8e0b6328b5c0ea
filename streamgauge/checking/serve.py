"""In: where Kafka is, and the settings of the check. Out: the check as a process: it answers from its first moment, and
says what it does not know yet.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import sys
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.metrics import CheckMetrics
from schemas.topics import Topics
from streamgauge.checking.config import CheckConfig
from streamgauge.checking.follower import Follower
from streamgauge.checking.promptness import be_prompt
from streamgauge.checking.server import CheckServer

_log = structlog.get_logger("check")

#: How long the follower may keep the interpreter while an answer waits for it; Python's default is 5 ms.
_SWITCH_S: Final = 0.0005


class CheckPortError(RuntimeError):
    """The port cannot be listened on; the message names it and the way out."""


def serve(
    connection: KafkaConnection,
    topics: Topics,
    config: CheckConfig,
    clock: Clock,
    registry: CollectorRegistry,
    health: Health,
) -> None:
    """Answer until SIGTERM or SIGINT. Raises what makes going on wrong, such as a topic that was made again."""
    sys.setswitchinterval(_SWITCH_S)
    # Before any thread is started: while the follower waits for its turn, it may hold what an answer waits for.
    _log.debug("check.turns", short=be_prompt())
    asyncio.run(_serve(connection, topics, config, clock, CheckMetrics(registry), health))


async def _serve(
    connection: KafkaConnection,
    topics: Topics,
    config: CheckConfig,
    clock: Clock,
    metrics: CheckMetrics,
    health: Health,
) -> None:
    """1. listen; 2. follow the topics; 3. wait for the end; 4. stop listening, then stop following."""
    loop, halt = asyncio.get_running_loop(), asyncio.Event()
    ended: list[Exception] = []

    def fatal(error: Exception) -> None:
        ended.append(error)
        loop.call_soon_threadsafe(halt.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, halt.set)
    follower = Follower(connection, topics, config, clock, health, metrics, fatal)
    http = CheckServer(follower.known, config, clock, metrics).http()
    try:
        try:
            port = await http.listen(config.host, config.port)
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be listened on: {error.strerror}"
            raise CheckPortError(f"port {config.port} of {config.host} {why}: set check.port to a free one") from error
        _log.info("check.listening", host=config.host, port=port)
        follower.start()
        await _until(halt, health)
    finally:
        await http.close()
        await asyncio.to_thread(follower.stop)
    if ended:
        raise ended[0]


async def _until(halt: asyncio.Event, health: Health) -> None:
    """Wait for the end. Once everything was read it is put out of the collector's sight: a full collection over
    thousands of documents would hold up answers for tens of milliseconds.
    """
    frozen = False
    while not halt.is_set():
        if not frozen and health.readiness().ok:
            frozen = True
            gc.collect()
            gc.freeze()
        try:
            await asyncio.wait_for(halt.wait(), None if frozen else 0.2)
        except TimeoutError:
            continue
