"""Typed frames over a socket pair: four bytes of length, then JSON or MessagePack.

JSON keeps integers beyond 64 bits exact, which requests may carry; MessagePack carries bytes as
they are. The end of file means that the other side has died.
"""

import asyncio
import socket
import threading
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from telefuser_grpc.workers.messages import FromReplica, FromServer

LENGTH_BYTES = 4
FRAME_LIMIT_BYTES = 64 * 2**20
READ_AHEAD_BYTES = 2**20

S = TypeVar("S")
R = TypeVar("R")


class ProtocolError(Exception):
    """The other side sent what is no frame."""


@dataclass(frozen=True, slots=True)
class Packing:
    """How frames become bytes."""

    encoder: msgspec.json.Encoder | msgspec.msgpack.Encoder
    decoder: type[msgspec.json.Decoder[Any]] | type[msgspec.msgpack.Decoder[Any]]


JSON = Packing(msgspec.json.Encoder(), msgspec.json.Decoder)
MSGPACK = Packing(msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder)


class ServerChannel(Generic[S, R]):
    """The server's end, for asyncio.

    Args:
        frames: What the other side sends.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        frames: Any,
        packing: Packing,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._packing = packing
        self._decoder = packing.decoder(frames)

    @classmethod
    async def open(
        cls, end: socket.socket, frames: Any = FromReplica, packing: Packing = JSON
    ) -> "ServerChannel[S, R]":
        """Takes over one end of a socket pair."""
        streams = await asyncio.open_connection(sock=end, limit=READ_AHEAD_BYTES)
        return cls(*streams, frames, packing)

    def send(self, frame: S) -> None:
        """Sends a frame without waiting; to a dead replica it goes nowhere.

        Raises:
            ProtocolError: The frame is too large.
        """
        if not self._writer.is_closing():
            self._writer.write(_pack(frame, self._packing))

    async def receive(self) -> R | None:
        """Waits for the next frame; None is the end of file.

        Raises:
            ProtocolError
        """
        try:
            header = await self._reader.readexactly(LENGTH_BYTES)
            body = await self._reader.readexactly(_length(header))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        frame: R = _unpack(self._decoder, body)
        return frame

    def close(self) -> None:
        """Closes the end; the other side reads an end of file."""
        self._writer.transport.abort()


class BlockingChannel(Generic[S, R]):
    """An end that blocks, and on which any thread may send.

    Args:
        frames: What the other side sends.
    """

    def __init__(self, end: socket.socket, frames: Any, packing: Packing = JSON) -> None:
        self._socket = end
        self._file = end.makefile("rb")
        self._sending = threading.Lock()
        self._packing = packing
        self._decoder = packing.decoder(frames)

    def send(self, frame: S) -> None:
        """Sends a frame."""
        packed = _pack(frame, self._packing)
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


def _pack(frame: object, packing: Packing = JSON) -> bytearray:
    packed = bytearray(LENGTH_BYTES)
    packing.encoder.encode_into(frame, packed, LENGTH_BYTES)
    length = len(packed) - LENGTH_BYTES
    if length > FRAME_LIMIT_BYTES:
        raise ProtocolError(f"a frame of {length} bytes is too large")
    packed[:LENGTH_BYTES] = length.to_bytes(LENGTH_BYTES, "big")
    return packed


def _length(header: bytes) -> int:
    length = int.from_bytes(header, "big")
    if length > FRAME_LIMIT_BYTES:
        raise ProtocolError(f"a frame of {length} bytes is too large")
    return length


def _unpack(decoder: Any, body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not a frame: {error}") from error
