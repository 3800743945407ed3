"""The connection of a session that runs in one call."""

import asyncio
from collections.abc import AsyncIterator

from telefuser_grpc._gen.telefuser.v1 import session_service_pb2 as pb
from telefuser_grpc.domain.session import Chunk, ClientMessage, CloseCause
from telefuser_grpc.errors import InvalidFields, Violation
from telefuser_grpc.scheduler.stream_ports import PeerGone
from telefuser_grpc.server import convert
from telefuser_grpc.server.session_pictures import decoded, encoded, sound_message, sound_of

WINDOW = 2  # chunks: one is written while the next is encoded


class GrpcPeer:
    """A client that calls: it says what comes in `requests`, and reads `responses`.

    Attributes:
        fault: What the client has said wrong; it ends the session.
    """

    transport = "grpc"
    ends_with_output = True

    def __init__(self, requests: AsyncIterator[pb.InteractRequest], *, picture_format: str) -> None:
        self.fault: InvalidFields | None = None
        self._requests = requests
        self._picture_format = picture_format
        self._room = asyncio.Semaphore(WINDOW)
        self._responses: asyncio.Queue[pb.InteractResponse | None] = asyncio.Queue()

    async def responses(self) -> AsyncIterator[pb.InteractResponse]:
        """Yields what is told to the client; a slow one keeps `send` waiting."""
        while (response := await self._responses.get()) is not None:
            yield response
            if response.HasField("chunk"):
                self._room.release()

    async def opened(self) -> None:
        """Returns: who calls can receive."""

    async def receive(self) -> ClientMessage | None:
        """Returns what the client says next; one that half-closes has nothing more to say."""
        request = await anext(self._requests, None)
        if request is None:
            await asyncio.Event().wait()
            raise AssertionError("what nobody sets was set")
        try:
            return await _said(request)
        except InvalidFields as fault:
            self.fault = fault
            raise PeerGone(CloseCause.CLIENT) from None

    async def send(self, chunk: Chunk) -> None:
        """Waits for room, then tells of a chunk."""
        await self._room.acquire()
        message = pb.SessionChunk(
            index=chunk.index,
            pictures=await encoded(chunk.pictures, chunk.fps, name=self._picture_format),
            sound=sound_message(chunk.sound),
            data=convert.struct_of(chunk.data),
        )
        self._responses.put_nowait(pb.InteractResponse(chunk=message))

    async def finish(self, chunks: int, error: str | None) -> None:
        """Tells of the end; an error is told by the end of the call."""
        if error is None and self.fault is None:
            done = pb.SessionDone(chunks=chunks)
            self._responses.put_nowait(pb.InteractResponse(done=done))

    async def close(self) -> None:
        """Ends the responses after what is still to be read."""
        self._responses.put_nowait(None)


async def _said(request: pb.InteractRequest) -> ClientMessage | None:
    """Reads a message after the first."""
    match request.WhichOneof("message"):
        case "control":
            return convert.free_fields(request.control, "control")
        case "data":
            return request.data
        case "pictures":
            return await decoded(request.pictures)
        case "sound":
            return sound_of(request.sound)
        case "stop":
            return None
        case "open":
            why = "only the first message opens the session; send what it may hear as control"
            raise InvalidFields([Violation("open", why, "already_open")])
    why = "needs one of control, data, pictures, sound and stop"
    raise InvalidFields([Violation("message", why, "missing")])
