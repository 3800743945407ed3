"""A served service of sessions with a fake process behind it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import grpc

from telefuser_grpc._gen.telefuser.v1 import session_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1 import session_service_pb2_grpc
from telefuser_grpc.domain.session import StreamMode
from telefuser_grpc.scheduler.sessions import Sessions
from telefuser_grpc.scheduler.stream_service import StreamService, StreamServiceFacts
from telefuser_grpc.server.interceptors.keys import KeyCheck
from telefuser_grpc.server.stream_server import StreamServer, StreamUseCases
from tests.fakes.streams import FakeConnect, FakeStreamHost

FACTS = StreamServiceFacts(
    pipeline_file="worlds/walk.py",
    parallelism=1,
    security_level="STRICT",
    video_codec="H264",
    video_bitrate=8_000_000,
    queue_limit=10,
    configured_concurrency=1,
)
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class StreamBackend:
    """A service of sessions; a context manager that runs it on a socket, or on a port."""

    def __init__(
        self,
        folder: Path,
        *,
        mode: StreamMode = StreamMode.BIDIRECTIONAL,
        limit: int = 3,
        keys: KeyCheck | None = None,
    ) -> None:
        self.address = f"unix:{folder}/s.sock"
        self.host = FakeStreamHost(mode)
        self.connect = FakeConnect()
        self.sessions = Sessions(self.host, limit=limit, close_seconds=5, connect=self.connect)
        use = StreamUseCases(
            sessions=self.sessions,
            service=StreamService(facts=FACTS, sessions=self.sessions, host=self.host),
        )
        self.server = StreamServer(
            self.address, use, max_message_bytes=MAX_MESSAGE_BYTES, keys=keys
        )
        limits = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
        self.channel = grpc.aio.insecure_channel(self.address, limits)
        self.session_service = session_service_pb2_grpc.SessionServiceStub(self.channel)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.server.start()
        self._stack.push_async_callback(self.server.stop, 0)
        self._stack.push_async_callback(self.channel.close)
        await self._stack.enter_async_context(self.sessions)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def interact(self, *requests: pb.InteractRequest, **how: Any) -> Any:
        """Begins a call that says these; it is open for more."""
        call = self.session_service.Interact(**how)
        return Interaction(call, requests)


class Interaction:
    """A call of Interact, from its client's side."""

    def __init__(self, call: Any, requests: Iterable[pb.InteractRequest]) -> None:
        self.call = call
        self._first = list(requests)

    async def __aenter__(self) -> Self:
        for each in self._first:
            await self.call.write(each)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.call.cancel()

    async def say(self, **message: Any) -> None:
        """Says one thing."""
        await self.call.write(said(**message))

    async def read(self) -> pb.InteractResponse:
        """Returns what comes next."""
        response = await self.call.read()
        assert response is not grpc.aio.EOF, "the call has ended"
        return response

    async def rest(self) -> list[pb.InteractResponse]:
        """Returns all that still comes. Raises AioRpcError where the call fails."""
        return [each async for each in self._responses()]

    async def _responses(self) -> AsyncIterator[pb.InteractResponse]:
        while (response := await self.call.read()) is not grpc.aio.EOF:
            yield response


def opening(session_id: str = "s1", **wish: Any) -> pb.InteractRequest:
    """Returns the first message of a session."""
    config = wish.pop("config", {})
    request = pb.InteractRequest(open=pb.SessionOpening(session_id=session_id, **wish))
    request.open.config.update(config)
    return request


def said(**message: Any) -> pb.InteractRequest:
    """Returns a message; `control` may be a dict."""
    control = message.pop("control", None)
    request = pb.InteractRequest(**message)
    if control is not None:
        request.control.SetInParent()
        request.control.update(control)
    return request
