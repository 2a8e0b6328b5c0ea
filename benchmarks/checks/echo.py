"""In: a port. Out: one fixed answer to whatever comes, until SIGTERM: what this machine takes for no work at all.

    python -m benchmarks.checks.echo PORT

A process, a socket, an event loop, and a place in the kernel's queue, all as the check has them; nothing is read,
looked up or judged.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Final

from streamgauge.checking.promptness import be_prompt
from streamgauge.embedded.child import LOOPBACK

_BODY: Final = b"x" * 600
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        self._transport.write(_ANSWER)


async def _serve(port: int) -> None:
    loop, halt = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, halt.set)
    server = await loop.create_server(_Echo, LOOPBACK, port)
    async with server:
        await halt.wait()


if __name__ == "__main__":
    be_prompt()
    asyncio.run(_serve(int(sys.argv[1])))
