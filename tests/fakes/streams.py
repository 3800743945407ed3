"""A stream process and clients' connections that do what a test tells them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.session import (
    Chunk,
    ClientMessage,
    CloseCause,
    Picture,
    Sound,
    StreamFacts,
    StreamMode,
)
from telefuser_grpc.errors import SessionConflict, SessionFailed, StreamNotRunning
from telefuser_grpc.scheduler.stream_ports import Peer, PeerGone

OVER = object()
SDP = "v=0 offer"
ANSWER_SDP = "v=0 answer"


def picture(width: int = 4, height: int = 2, shade: int = 128) -> Picture:
    """Returns a picture of one grey."""
    return Picture(width=width, height=height, rgb=bytes([shade]) * (3 * width * height))


def chunk(index: int = 0, *, pictures: int = 1, **data: Any) -> Chunk:
    """Returns a chunk with as many pictures, and what it tells besides."""
    return Chunk(index=index, pictures=(picture(),) * pictures, data=data)


def sound(samples: int = 480) -> Sound:
    """Returns a piece of silence."""
    return Sound(pcm=bytes(2 * samples))


class FakeStreamHost:
    """A `StreamHost`: what sessions yield is put in by `make`, `fail` and `end`.

    Attributes:
        loaded: What is loaded; None while nothing is.
        configs: What sessions were created with, in order.
        requests: What services were asked to push, in order.
        returns_id: The id that the next created sessions get; None for the one asked for.
        refusal: What the next creations raise.
        creating: Where set, a creation waits for it.
        closing: Where set, a close waits for it.
        pushed: What came for each session.
        closed: The sessions that were closed, in order.
        stopped: The outputs that were left before their end, in order.
        taken: How many chunks of each session were asked for.
    """

    def __init__(self, mode: StreamMode = StreamMode.BIDIRECTIONAL, **facts: Any) -> None:
        self.loaded: StreamFacts | None = StreamFacts(mode=mode, **facts)
        self.configs: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.returns_id: str | None = None
        self.refusal: Exception | None = None
        self.creating: asyncio.Event | None = None
        self.closing: asyncio.Event | None = None
        self.pushed: defaultdict[str, list[ClientMessage]] = defaultdict(list)
        self.closed: list[str] = []
        self.stopped: list[str] = []
        self.taken: defaultdict[str, int] = defaultdict(int)
        self.has_pushed = asyncio.Condition()
        self.has_begun = asyncio.Condition()
        self._outputs: defaultdict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)
        self._begun: list[str] = []
        self._open: set[str] = set()

    @property
    def facts(self) -> StreamFacts:
        """What is loaded."""
        if self.loaded is None:
            raise StreamNotRunning
        return self.loaded

    def status(self) -> ReplicaStatus:
        """A process that is there."""
        return ReplicaStatus(id=0, state=ReplicaState.IDLE, devices=())

    async def create(self, config: Mapping[str, Any]) -> str:
        """Begins a session, or refuses as told."""
        self.configs.append(dict(config))
        await self._begin("create")
        if self.creating:
            await self.creating.wait()
        if self.refusal:
            raise self.refusal
        session_id = self.returns_id or str(config["session_id"])
        if session_id in self._open:
            raise SessionConflict(f"session {session_id} is open already")
        self._open.add(session_id)
        return session_id

    async def push(self, session_id: str, message: ClientMessage) -> None:
        """Keeps what came."""
        async with self.has_pushed:
            self.pushed[session_id].append(message)
            self.has_pushed.notify_all()

    async def pull(self, session_id: str) -> AsyncGenerator[Chunk, None]:
        """Yields what the test makes."""
        await self._begin(session_id)
        output, is_left = self._outputs[session_id], True
        try:
            while (item := await output.get()) is not OVER:
                if isinstance(item, Exception):
                    raise item
                self.taken[session_id] += 1
                yield item
            is_left = False
        finally:
            if is_left:
                self.stopped.append(session_id)

    def serve(self, session_id: str, request: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Yields what the test makes."""
        self.requests.append(dict(request))
        return self.pull(session_id)

    async def close(self, session_id: str) -> None:
        """Ends a session."""
        if self.closing:
            await self.closing.wait()
        self._open.discard(session_id)
        self.closed.append(session_id)

    def make(self, session_id: str, *chunks: Chunk) -> None:
        """Lets a session yield chunks."""
        for each in chunks:
            self._outputs[session_id].put_nowait(each)

    def end(self, session_id: str) -> None:
        """Lets the output of a session end."""
        self._outputs[session_id].put_nowait(OVER)

    def fail(self, session_id: str, why: Exception | str) -> None:
        """Lets a session fail after what was made."""
        error = SessionFailed(why) if isinstance(why, str) else why
        self._outputs[session_id].put_nowait(error)

    async def begun(self, session_id: str) -> None:
        """Waits until the output of a session is asked for; `create` waits for a creation."""
        async with self.has_begun:
            await self.has_begun.wait_for(lambda: session_id in self._begun)

    async def received(self, session_id: str, count: int) -> list[ClientMessage]:
        """Waits until as many messages have come for a session."""
        async with self.has_pushed:
            await self.has_pushed.wait_for(lambda: len(self.pushed[session_id]) >= count)
        return self.pushed[session_id]

    async def _begin(self, what: str) -> None:
        async with self.has_begun:
            self._begun.append(what)
            self.has_begun.notify_all()


class FakePeer:
    """A `Peer` whose client does what the test says.

    Attributes:
        sent: What was shown.
        finished: What was told of the end: chunks and error, once for each time.
        steps: What was done with it at the end, in order: `finish`, `close`.
        opening: Where set, the client can receive once it is.
    """

    def __init__(self, *, transport: str = "webrtc", ends_with_output: bool = False) -> None:
        self.transport = transport
        self.ends_with_output = ends_with_output
        self.sent: list[Chunk] = []
        self.finished: list[tuple[int, str | None]] = []
        self.steps: list[str] = []
        self.opening: asyncio.Event | None = None
        self.changed = asyncio.Condition()
        self._said: asyncio.Queue[ClientMessage | PeerGone | Exception | None] = asyncio.Queue()
        self._lost: PeerGone | None = None

    def say(self, message: ClientMessage | None) -> None:
        """The client says something; None is a stop."""
        self._said.put_nowait(message)

    def go(self, cause: CloseCause = CloseCause.CONNECTION) -> None:
        """The client goes away."""
        self._lost = PeerGone(cause)
        self._said.put_nowait(self._lost)

    async def opened(self) -> None:
        """Waits as told."""
        if self.opening:
            await self.opening.wait()
        if self._lost:
            raise self._lost

    async def receive(self) -> ClientMessage | None:
        """Returns what the client says next."""
        message = await self._said.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def send(self, chunk: Chunk) -> None:
        """Keeps the chunk."""
        if self._lost:
            raise self._lost
        async with self.changed:
            self.sent.append(chunk)
            self.changed.notify_all()

    async def finish(self, chunks: int, error: str | None) -> None:
        """Keeps what was told."""
        async with self.changed:
            self.finished.append((chunks, error))
            self.steps.append("finish")
            self.changed.notify_all()

    async def close(self) -> None:
        """Keeps that it was closed."""
        async with self.changed:
            self.steps.append("close")
            self.changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether it was let go."""
        return "close" in self.steps

    async def shown(self, count: int) -> list[Chunk]:
        """Waits until as many chunks were shown."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.sent) >= count)
        return self.sent

    async def told(self) -> tuple[int, str | None]:
        """Waits until the end of the output was told."""
        async with self.changed:
            await self.changed.wait_for(lambda: bool(self.finished))
        return self.finished[0]

    async def let_go(self) -> None:
        """Waits until it is closed."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.is_closed)


class FakeConnect:
    """Answers offers with peers of the test, the first for the first offer.

    Attributes:
        offers: What came: the description, and what was said of the session.
        refusal: What is raised in place of an answer.
        negotiating: Where set, an answer waits for it.
        cut: How many negotiations were cancelled.
    """

    def __init__(self, *peers: Peer) -> None:
        self.offers: list[tuple[str, dict[str, Any]]] = []
        self.refusal: Exception | None = None
        self.negotiating: asyncio.Event | None = None
        self.cut = 0
        self.begun = asyncio.Event()
        self._peers = list(peers)

    async def __call__(
        self, offer_sdp: str, /, *, session_id: str, mode: StreamMode, fps: float
    ) -> tuple[Peer, str]:
        self.offers.append((offer_sdp, {"session_id": session_id, "mode": mode, "fps": fps}))
        self.begun.set()
        try:
            if self.negotiating:
                await self.negotiating.wait()
        except asyncio.CancelledError:
            self.cut += 1
            raise
        if self.refusal:
            raise self.refusal
        return (self._peers.pop(0) if self._peers else FakePeer()), ANSWER_SDP
