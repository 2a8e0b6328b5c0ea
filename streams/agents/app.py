"""In: a connection, topics and a custody. Out: the Faust app: one agent on `usage.tallies` that hands messages to it.

1. Faust assigns partitions: custody begins to open their shards. The hook is no barrier, so the agent waits for each.
2. The agent takes events one by one (concurrency=1) and offers them; Faust acknowledges each after it was taken.
3. Faust commits offsets in its own rhythm. They are a hint: the position that is committed with the state rules.
4. Faust revokes partitions: custody settles, commits and closes their shards before the group goes on.

A crash anywhere loses only memory: see `keeper` for what the next owner finds. A failing shard or agent ends the
process, because Faust would acknowledge the failed event and go on. No tables, no web, no changelogs: state is the
keeper's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import faust
from faust.types import TP

from runtime.connection import KafkaConnection
from schemas.topics import Topics
from streams.agents.config import AgentsConfig
from streams.agents.custody import Custody
from streams.agents.faust_transport import broker_settings, shorten_fetches
from streams.agents.tally_message import read_tally


def make_app(
    config: AgentsConfig,
    connection: KafkaConnection,
    topics: Topics,
    custody: Custody,
    datadir: Path,
    fail: Callable[[Exception], None],
) -> faust.App:
    """A finalized app. Create and start it within one running event loop. `fail` hears of whatever must end the
    process.
    """
    app = faust.App(
        config.group,
        **broker_settings(connection),
        store="memory://",
        datadir=datadir,
        autodiscover=False,
        web_enabled=False,
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        # The agents' own positions decide; waiting for Faust's buffers to drain at a rebalance would only delay it.
        stream_wait_empty=False,
        broker_commit_interval=1.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
    )
    tallies = app.topic(
        topics.tallies,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=topics.tally_partitions,
    )

    async def fold(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            partition: int = message.partition
            try:
                if partition not in custody.partitions and TP(topics.tallies, partition) in app.consumer.assignment():
                    custody.assign([partition])  # 1, when the message was faster than the hook
                told = read_tally(message.offset, list(message.headers or ()), event.value, partition)
                await custody.take(partition, told)  # 2
            except Exception as failure:
                fail(failure)
                raise

    app.agent(tallies, concurrency=1, name="streamgauge.fold")(fold)

    async def assigned(_app: Any, assigned: set[TP], **_: Any) -> None:
        custody.assign(sorted(tp.partition for tp in assigned if tp.topic == topics.tallies))  # 1

    async def revoked(_app: Any, revoked: set[TP], **_: Any) -> None:
        await custody.revoke(sorted(tp.partition for tp in revoked if tp.topic == topics.tallies))  # 4

    # weak=False: nobody else holds these two.
    app.on_partitions_assigned.connect(cast(Any, assigned), weak=False)
    app.on_partitions_revoked.connect(cast(Any, revoked), weak=False)
    app.finalize()
    shorten_fetches(app, connection.fetch_wait_ms)
    return app
