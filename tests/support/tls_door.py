"""A port that speaks plain TCP in; a port that speaks TLS before it out."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Self

from tests.support.certificates import Certificates


class TlsDoor:
    """`with TlsDoor(port, certificates) as door:` gives `door.port`; `mutual`: a client without a certificate is
    refused.
    """

    def __init__(self, target_port: int, certificates: Certificates, *, mutual: bool = False) -> None:
        self._target_port = target_port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.ca))
        self._context.load_cert_chain(certificates.server_chain, certificates.server_key)
        if mutual:
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._halt = False

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halt = True
        # A last connection wakes the thread that waits in accept().
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        self._thread.join(timeout=5)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            outside, _ = self._listener.accept()
            if self._halt:
                outside.close()
                return
            threading.Thread(target=self._serve, args=(outside,), daemon=True).start()

    def _serve(self, outside: socket.socket) -> None:
        # Whatever breaks here breaks at the client too, which is where the test looks.
        with contextlib.suppress(OSError), outside:
            outside.settimeout(10)
            with (
                self._context.wrap_socket(outside, server_side=True) as client,
                socket.create_connection(("127.0.0.1", self._target_port), timeout=10) as server,
            ):
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                with contextlib.suppress(OSError):
                    server.shutdown(socket.SHUT_WR)
                back.join(timeout=10)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
