"""In: ports, a rate, a duration. Out: how long each question took, from when it was due to its last byte.

An open-loop client: questions are sent when they are due, whether earlier ones were answered or not. Every port gets
the same schedule at the same time, so that what the machine does to one it does to the others.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from typing import Final

from streamgauge.embedded.child import LOOPBACK

#: Connections kept open to each port, as a gateway's pool is.
CONNECTIONS: Final = 16
_END: Final = (-1.0, b"")


async def drive(ports: Sequence[int], rate: float, seconds: float, teams: int) -> list[list[float]]:
    """Seconds of each question by port; `rate` is that of each port."""
    times: list[list[float]] = [[] for _ in ports]
    queues: list[asyncio.Queue[tuple[float, bytes]]] = [asyncio.Queue() for _ in ports]
    tasks = [
        asyncio.create_task(_connection(port, queue, own))
        for port, queue, own in zip(ports, queues, times, strict=True)
        for _ in range(CONNECTIONS)
    ]
    chance = random.Random(7)
    due = began = time.perf_counter()
    while due < began + seconds:
        # Gateways ask when their callers come, not in step.
        due += chance.expovariate(rate * len(ports))
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        queues[chance.randrange(len(ports))].put_nowait((due, _question(chance.randrange(teams))))
    for queue in queues:
        for _ in range(CONNECTIONS):
            queue.put_nowait(_END)
    await asyncio.gather(*tasks)
    return times


def _question(team: int) -> bytes:
    body = json.dumps({"team_id": f"team-{team}", "stage": "production", "model": "gpt-4o"}).encode()
    head = "POST /check HTTP/1.1\r\nHost: check\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _connection(port: int, waiting: asyncio.Queue[tuple[float, bytes]], times: list[float]) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    while True:
        due, request = await waiting.get()
        if due < 0:
            writer.close()
            return
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"port {port} answers {head!r}")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - due)
