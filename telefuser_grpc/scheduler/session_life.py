"""The life of one session, told by one coroutine, from its reservation until all is let go."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from telefuser_grpc.domain.session import Chunk, CloseCause, Session, SessionState, StreamMode
from telefuser_grpc.errors import (
    SessionConflict,
    SessionFailed,
    ShuttingDown,
    TeleFuserError,
    Unauthenticated,
)
from telefuser_grpc.scheduler.session_opening import Opening
from telefuser_grpc.scheduler.stream_ports import Peer, PeerGone, StreamHost

FAULT = "The server met a fault of its own in this session; its log has the details"
REVOKED = "The API key that the session was opened with was revoked"
LOST = (CloseCause.CONNECTION, CloseCause.DATA_CHANNEL_TIMEOUT)

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a session has from its reservation on."""

    opening: Opening
    owner: str
    key_id: str
    mode: StreamMode
    transport: str
    fps: float
    close_seconds: float


Connected = Callable[["Life"], Awaitable[Peer]]
"""Makes the client's connection; cancelled, it lets everything of it go."""


class Life:
    """One session: it begins with `begin`, and it ends when `end` is called or by itself.

    Args:
        adopt: Gives the session the id that the pipeline has for it. Raises SessionAlreadyExists.
        forget: Frees the session's place.
    """

    def __init__(
        self,
        session_id: str,
        terms: Terms,
        *,
        host: StreamHost,
        connect: Connected,
        adopt: Callable[["Life", str], None],
        forget: Callable[["Life"], None],
    ) -> None:
        self.id = session_id
        self.terms = terms
        self.error: Exception | None = None
        self._host = host
        self._connect = connect
        self._adopt = adopt
        self._forget = forget
        self._peer: Peer | None = None
        self._creation: asyncio.Task[str] | None = None
        self._cause: CloseCause | None = None
        self._state = SessionState.CONNECTING
        self._chunks = 0
        self._is_output_told = False
        self._begun_at = time.monotonic()
        self._settled = asyncio.Event()
        self._story: asyncio.Task[CloseCause]
        self._telling: asyncio.Task[None]

    @property
    def session(self) -> Session:
        """The session as others see it."""
        return Session(
            id=self.id,
            mode=self.terms.mode,
            state=SessionState.CLOSED if self._cause else self._state,
            owner=self.terms.owner,
            transport=self.terms.transport,
            chunks=self._chunks,
        )

    def begin(self) -> None:
        """Starts the life."""
        self._story = asyncio.create_task(self._run())
        self._telling = asyncio.create_task(self._tell())

    async def opened(self) -> None:
        """Waits until the connection is made.

        A caller that goes away meanwhile takes the session with it.

        Raises:
            TeleFuserError: There is no session; nothing is left of it.
        """
        try:
            await self._settled.wait()
        except asyncio.CancelledError:
            self.end(CloseCause.CONNECTION)
            raise
        if not self._peer:
            raise self.error or SessionConflict("it was closed while it was being opened")

    async def ended(self) -> None:
        """Waits until everything is let go."""
        await asyncio.wait([self._telling])

    def end(self, cause: CloseCause) -> None:
        """Ends the session, if it has not ended."""
        if self._cause is None:
            self._cause = cause
            self._story.cancel()

    def give_up(self) -> None:
        """Waits no longer for a pipeline that does not say whether it has begun a session."""
        if self._creation:
            self._creation.cancel()

    async def _tell(self) -> None:
        await asyncio.wait([self._story])
        if self._cause is None:  # cancelled from elsewhere: by a call that was cut
            self._cause = CloseCause.CONNECTION if self._story.cancelled() else self._story.result()
        if self._cause is CloseCause.SHUTDOWN:
            self.error = ShuttingDown()
        if self._cause is CloseCause.REVOKED:
            self.error = Unauthenticated(REVOKED)
        await self._let_go()
        self._forget(self)
        self._settled.set()
        if self._peer:
            seconds = round(time.monotonic() - self._begun_at, 3)
            how = {"cause": str(self._cause), "chunks": self._chunks, "seconds": seconds}
            logger.info("session ended", **self._facts(), **how)

    async def _run(self) -> CloseCause:
        """Opens the session and carries it to its end; tells why it has ended."""
        try:
            return await self._carry(await self._open())
        except PeerGone as gone:
            return gone.cause
        except TeleFuserError as error:
            self.error = error
        except Exception as error:
            logger.exception("session failed", session_id=self.id)
            self.error = SessionFailed(FAULT) if self._peer else error
        return CloseCause.PIPELINE

    async def _open(self) -> Peer:
        if self.terms.mode is StreamMode.BIDIRECTIONAL:
            config = self.terms.opening.session_config(self.id)
            self._creation = asyncio.create_task(self._host.create(config))
            # Who is interrupted here could not tell whether there is a session to be closed.
            self._adopt(self, await asyncio.shield(self._creation))
        peer = self._peer = await self._connect(self)
        logger.info("session opened", **self._facts())
        self._settled.set()
        return peer

    async def _carry(self, peer: Peer) -> CloseCause:
        await peer.opened()
        self._state = SessionState.ACTIVE
        showing = asyncio.create_task(self._show(peer))
        listening = asyncio.create_task(self._listen(peer))
        try:
            await asyncio.wait([showing, listening], return_when=asyncio.FIRST_COMPLETED)
            return (showing if showing.done() else listening).result()
        finally:
            await self._stop([showing, listening])

    async def _show(self, peer: Peer) -> CloseCause:
        async with aclosing(self._output()) as chunks:
            async for chunk in chunks:
                await peer.send(chunk)
                self._chunks += bool(chunk.pictures)
        await self._tell_end(None)
        if not peer.ends_with_output:  # the client looks at the last picture until it has enough
            await asyncio.Event().wait()
        return CloseCause.OUTPUT

    async def _listen(self, peer: Peer) -> CloseCause:
        is_heard = self.terms.mode is StreamMode.BIDIRECTIONAL
        while (message := await peer.receive()) is not None:
            if is_heard:
                await self._host.push(self.id, message)
        return CloseCause.CLIENT

    def _output(self) -> AsyncGenerator[Chunk, None]:
        if self.terms.mode is StreamMode.BIDIRECTIONAL:
            return self._host.pull(self.id)
        return self._host.serve(self.id, self.terms.opening.push_request(self.id))

    async def _stop(self, relays: list[asyncio.Task[CloseCause]]) -> None:
        for each in relays:
            each.cancel()
        done, late = await asyncio.wait(relays, timeout=self.terms.close_seconds)
        if late:
            logger.warning("session stops too slowly", session_id=self.id)
        for each in done:
            each.cancelled() or each.exception()  # seen

    async def _let_go(self) -> None:
        if self._peer and self._cause not in LOST:
            await self._bounded(self._tell_end(self._fault()), "client is not told")
        if self._creation and (created := await _created_id(self._creation)):
            await self._bounded(self._host.close(created), "pipeline does not close")
        if self._peer:
            await self._bounded(self._peer.close(), "connection does not close")

    async def _tell_end(self, error: str | None) -> None:
        if self._peer and not self._is_output_told:
            self._is_output_told = True
            await self._peer.finish(self._chunks, error)

    def _fault(self) -> str | None:
        return self.error.message if isinstance(self.error, TeleFuserError) else None

    async def _bounded(self, step: Awaitable[None], otherwise: str) -> None:
        """Does a step of the end; the others are done also when it fails."""
        try:
            async with asyncio.timeout(self.terms.close_seconds):
                await step
        except PeerGone:
            return
        except Exception as error:
            logger.warning(
                "session is let go badly", session_id=self.id, why=otherwise, error=repr(error)
            )

    def _facts(self) -> dict[str, object]:
        terms = self.terms
        return {"session_id": self.id, "mode": str(terms.mode), "transport": terms.transport}


async def _created_id(creation: asyncio.Task[str]) -> str:
    """Returns the pipeline's id of the session that it has begun, "" where it has not."""
    await asyncio.wait([creation])
    return "" if creation.cancelled() or creation.exception() else creation.result()
