"""A proxy on the way to the service that cuts the connection instead of passing the first answer.

That is what a client sees of a network that fails after the service has taken its request.
"""

import socket
import socketserver
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

FIRST_TRY = b"x-stainless-retry-count: 0"
END_OF_HEAD = b"\r\n\r\n"
PIECE = 65536
RESET = struct.pack("ii", 1, 0)


class Dropper:
    """Passes everything to a port but the answers to first tries."""

    def __init__(self, port: int) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    _serve(self.request, port)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def target(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self._server.server_address[1]}"


def _serve(client: socket.socket, port: int) -> None:
    head = b""
    while END_OF_HEAD not in head:
        head += _received(client)
    with socket.create_connection(("127.0.0.1", port)) as service:
        service.sendall(head)
        upwards = threading.Thread(target=_pass, args=(client, service), daemon=True)
        upwards.start()
        answer = service.recv(PIECE)
        if FIRST_TRY in head.lower():
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.shutdown(socket.SHUT_RD)
            return
        client.sendall(answer)
        _pass(service, client)


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            sink.sendall(piece)


def _received(source: socket.socket) -> bytes:
    piece = source.recv(PIECE)
    if not piece:
        raise ConnectionError
    return piece
