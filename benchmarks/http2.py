"""Watches tasks by the hundred over one HTTP/2 connection, with hardly any work for a message.

A thousand streams of a Python gRPC client cost more than the server that feeds them; on a machine
that runs both, the client would be what is measured.
"""

import asyncio
import struct
import time
from collections.abc import Callable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
HEAD_BYTES = 9
MESSAGE_HEAD_BYTES = 5
INITIAL_WINDOW_SIZE = 4
WIDE = 2**31 - 1
FIRST_WINDOW = 65_535


class Watchers(asyncio.Protocol):
    """Opens streams of one RPC and passes on each message with the time of its arrival."""

    def __init__(self, on_message: Callable[[int, bytes], None]) -> None:
        self._on_message = on_message
        self._transport: asyncio.Transport
        self._next_stream = 1
        self._unread = b""
        self._messages: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Opens the windows wide, so that nothing but the server sets the pace."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        settings = struct.pack(">HI", INITIAL_WINDOW_SIZE, WIDE)
        window = struct.pack(">I", WIDE - FIRST_WINDOW)
        transport.write(PREFACE + _frame(SETTINGS, settings) + _frame(WINDOW_UPDATE, window))

    def watch(self, path: str, request: bytes) -> None:
        """Opens one more stream."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "localhost",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        headers = b"".join(_literal(name, value) for name, value in fields.items())
        message = struct.pack(">BI", 0, len(request)) + request
        self._transport.write(
            _frame(HEADERS, headers, flags=END_HEADERS, stream=stream)
            + _frame(DATA, message, flags=END_STREAM, stream=stream)
        )

    def data_received(self, data: bytes) -> None:
        """Takes whatever has come."""
        now = time.time_ns()
        unread = self._unread + data
        place = 0
        while place + HEAD_BYTES <= len(unread):
            end = place + HEAD_BYTES + int.from_bytes(unread[place : place + 3])
            if end > len(unread):
                break
            kind, flags = unread[place + 3], unread[place + 4]
            payload = unread[place + HEAD_BYTES : end]
            if kind == DATA:
                stream = int.from_bytes(unread[place + 5 : place + 9])
                self._take_data(now, stream, payload)
            elif kind in (SETTINGS, PING) and not flags & ACK:
                self._transport.write(_frame(kind, payload if kind == PING else b"", flags=ACK))
            place = end
        self._unread = unread[place:]

    def _take_data(self, now: int, stream: int, payload: bytes) -> None:
        unread = self._messages.pop(stream, b"") + payload
        while len(unread) >= MESSAGE_HEAD_BYTES:
            end = MESSAGE_HEAD_BYTES + int.from_bytes(unread[1:MESSAGE_HEAD_BYTES])
            if end > len(unread):
                break
            self._on_message(now, unread[MESSAGE_HEAD_BYTES:end])
            unread = unread[end:]
        if unread:
            self._messages[stream] = unread


def _frame(kind: int, payload: bytes, *, flags: int = 0, stream: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    """Writes a header field without compression; both are shorter than 127 bytes."""
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))
