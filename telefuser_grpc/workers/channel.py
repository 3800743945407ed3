"""Typed frames over a socket pair: four bytes of length, then JSON.

JSON keeps integers beyond 64 bits exact, which requests may carry. The end of file means that the
other side has died.
"""

import asyncio
import socket
import threading
from typing import Any, Generic, TypeVar

import msgspec

from telefuser_grpc.workers.messages import FromReplica, FromServer

LENGTH_BYTES = 4
FRAME_LIMIT_BYTES = 64 * 2**20

F = TypeVar("F")
S = TypeVar("S")
R = TypeVar("R")


class ProtocolError(Exception):
    """The other side sent what is no frame."""


class ServerChannel:
    """The server's end, for asyncio."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder: msgspec.json.Decoder[FromReplica] = msgspec.json.Decoder(FromReplica)

    @classmethod
    async def open(cls, end: socket.socket) -> "ServerChannel":
        """Takes over one end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, frame: FromServer) -> None:
        """Sends a frame without waiting; to a dead replica it goes nowhere.

        Raises:
            ProtocolError: The frame is too large.
        """
        if not self._writer.is_closing():
            self._writer.write(_pack(frame))

    async def receive(self) -> FromReplica | None:
        """Waits for the next frame; None is the end of file.

        Raises:
            ProtocolError
        """
        try:
            header = await self._reader.readexactly(LENGTH_BYTES)
            body = await self._reader.readexactly(_length(header))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return _unpack(self._decoder, body)

    def close(self) -> None:
        """Closes the end; the other side reads an end of file."""
        self._writer.transport.abort()


class BlockingChannel(Generic[S, R]):
    """An end that blocks, and on which any thread may send.

    Args:
        frames: What the other side sends.
    """

    def __init__(self, end: socket.socket, frames: Any) -> None:
        self._socket = end
        self._file = end.makefile("rb")
        self._sending = threading.Lock()
        self._decoder: msgspec.json.Decoder[R] = msgspec.json.Decoder(frames)

    def send(self, frame: S) -> None:
        """Sends a frame."""
        packed = _pack(frame)
        with self._sending:
            self._socket.sendall(packed)

    def receive(self) -> R | None:
        """Waits for the next frame; None is the end of file."""
        try:
            header = self._file.read(LENGTH_BYTES)
            body = self._file.read(_length(header)) if len(header) == LENGTH_BYTES else b""
        except ConnectionError:
            return None
        return _unpack(self._decoder, body) if body else None

    def close(self) -> None:
        """Closes the end; the other side reads an end of file."""
        self._file.close()
        self._socket.close()


class ReplicaChannel(BlockingChannel[FromReplica, FromServer]):
    """The replica's end."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__(end, FromServer)


def _pack(frame: object) -> bytes:
    body = msgspec.json.encode(frame)
    if len(body) > FRAME_LIMIT_BYTES:
        raise ProtocolError(f"a frame of {len(body)} bytes is too large")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def _length(header: bytes) -> int:
    length = int.from_bytes(header, "big")
    if length > FRAME_LIMIT_BYTES:
        raise ProtocolError(f"a frame of {length} bytes is too large")
    return length


def _unpack(decoder: "msgspec.json.Decoder[F]", body: bytes) -> F:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not a frame: {error}") from error
