"""HTTP/1.1 as bytes: requests that no client library would send, and what is answered."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

from tests.fakes.service import PATIENCE_SECONDS

Headers = Sequence[tuple[bytes, bytes]]
JSON = (b"Content-Type", b"application/json")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent on a connection of its own; one that is not whole is broken off at its end."""

    data: bytes
    is_whole: bool = True

    @property
    def is_head(self) -> bool:
        """Whether the answer has no body."""
        return self.data.startswith(b"HEAD ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    head: str
    content_type: str
    body: bytes


def request(
    method: bytes, target: bytes, headers: Headers = (), body: bytes = b"", *, length: bool = True
) -> Request:
    """Writes a request; without `length` the headers say how long its body is."""
    framing = [(b"Content-Length", b"%d" % len(body))] if length and body else []
    lines = [b"%s %s HTTP/1.1" % (method, target)]
    for name, value in ((b"Host", b"g"), (b"Connection", b"close"), *headers, *framing):
        lines.append(name + b": " + value)
    return Request(b"\r\n".join([*lines, b"", body]))


def ask(port: int, sent: Request) -> Answer | None:
    """Sends a request; None stands for a connection that was closed without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        with suppress(ConnectionError):  # it may be refused before it is all sent
            connection.sendall(sent.data)
            if not sent.is_whole:
                connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection, method="HEAD" if sent.is_head else "GET")
        try:
            response.begin()
            body = response.read()
        except (ConnectionError, HTTPException):
            return None
        return Answer(
            response.status, str(response.headers), response.headers.get_content_type(), body
        )
