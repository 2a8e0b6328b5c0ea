"""In: a connection. Out: Faust's settings for it, and a consumer that asks the broker for news as often as we want.

Faust hard-codes how long a fetch may wait (1.5 s). The embedded broker holds every empty fetch for half of that,
which would make alerts late in local mode.
"""

from __future__ import annotations

from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver

from runtime.connection import KafkaConnection


def broker_settings(connection: KafkaConnection) -> dict[str, Any]:
    """Keyword arguments of faust.App: address, TLS, SASL and session."""
    context = connection.ssl_context()
    credentials: Any = None
    if connection.sasl is not None:
        credentials = faust.SASLCredentials(
            username=connection.sasl.username,
            password=connection.sasl.password,
            mechanism=connection.sasl.mechanism,
            ssl_context=context,
        )
    elif context is not None:
        credentials = faust.SSLCredentials(context=context)
    session_s = connection.session_timeout_ms / 1_000
    return {
        "broker": [f"kafka://{server.strip()}" for server in connection.bootstrap.split(",")],
        "broker_credentials": credentials,
        "broker_client_id": f"{connection.client_id}.agents",
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": session_s / 3,
        "broker_rebalance_timeout": max(10.0, session_s),
        "broker_request_timeout": max(90.0, 2 * session_s),
    }


def shorten_fetches(app: faust.App, wait_ms: int) -> None:
    """Call before the app starts."""

    class Thread(driver.AIOKafkaConsumerThread):
        def _create_worker_consumer(self, transport: Any) -> Any:
            consumer = super()._create_worker_consumer(transport)
            consumer._fetch_max_wait_ms = wait_ms
            return consumer

    class ShortConsumer(driver.Consumer):
        def _new_consumer_thread(self) -> Any:
            return Thread(self, loop=self.loop, beacon=self.beacon)

    transport: Any = app.transport
    transport.Consumer = ShortConsumer
