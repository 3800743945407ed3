"""The one owner of sessions: how many there are, whose they are, and when they end."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self
from uuid import uuid4

from telefuser_grpc.domain.session import CloseCause, Session, SessionState, StreamMode
from telefuser_grpc.errors import (
    SessionAlreadyExists,
    SessionLimitReached,
    SessionNotFound,
    ShuttingDown,
    WebRtcNotInstalled,
)
from telefuser_grpc.scheduler.callers import current_caller, current_key_id, is_mine
from telefuser_grpc.scheduler.session_life import Connected, Life, Terms
from telefuser_grpc.scheduler.session_opening import Opening
from telefuser_grpc.scheduler.stream_ports import Peer, StreamHost

CLOSE_SECONDS = 30.0


class Connect(Protocol):
    """Answers the offer of a WebRTC connection."""

    async def __call__(
        self, offer_sdp: str, /, *, session_id: str, mode: StreamMode, fps: float
    ) -> tuple[Peer, str]:
        """Returns the connection and the answer to the offer.

        Cancelled, or where it fails, it lets everything of the connection go.

        Raises:
            OfferRejected
        """
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an offer, and the id that the session has from now on."""

    session_id: str
    sdp: str


class Sessions:
    """Opens and closes sessions; a context manager that ends all of them with itself.

    Callers see their own sessions; those of others do not exist.

    Args:
        limit: How many may be open or about to be.
        close_seconds: How long each step of a session's end may take.
        connect: Answers offers; None where the server cannot.
    """

    def __init__(
        self,
        host: StreamHost,
        *,
        limit: int,
        close_seconds: float = CLOSE_SECONDS,
        connect: Connect | None = None,
    ) -> None:
        self.limit = limit
        self.is_closing = False
        self._host = host
        self._close_seconds = close_seconds
        self._connect = connect
        self._lives: dict[str, Life] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close_all()

    @property
    def mode(self) -> StreamMode:
        """Who speaks in sessions. Raises StreamNotRunning."""
        return self._host.facts.mode

    async def offer(self, opening: Opening, sdp: str) -> Answer:
        """Opens a session over WebRTC and returns the answer to the client's offer.

        Raises:
            InvalidFields, OfferRejected, SessionRejected, SessionConflict, SessionAlreadyExists,
            SessionLimitReached, StreamNotRunning, ShuttingDown, WebRtcNotInstalled
        """
        connect = self._connect
        if connect is None:
            raise WebRtcNotInstalled
        answers: list[str] = []

        async def negotiate(life: Life) -> Peer:
            peer, answer = await connect(
                sdp, session_id=life.id, mode=life.terms.mode, fps=life.terms.fps
            )
            answers.append(answer)
            return peer

        life = self._reserve(opening, "webrtc", negotiate)
        await life.opened()
        return Answer(life.id, *answers)

    async def open(self, opening: Opening, peer: Peer) -> Life:
        """Opens a session on a connection that stands, and returns it.

        Raises:
            InvalidFields, SessionRejected, SessionConflict, SessionAlreadyExists,
            SessionLimitReached, StreamNotRunning, ShuttingDown
        """

        async def connected(_: Life) -> Peer:
            return peer

        life = self._reserve(opening, peer.transport, connected)
        await life.opened()
        return life

    def get(self, session_id: str) -> Session:
        """Returns an open session. Raises SessionNotFound."""
        session = self._mine(session_id).session
        if session.state is SessionState.CLOSED:
            raise SessionNotFound(session_id)
        return session

    def list(self) -> Sequence[Session]:
        """Returns the caller's open sessions, the oldest first."""
        sessions = [life.session for life in self._lives.values() if is_mine(life.terms.owner)]
        return [each for each in sessions if each.state is not SessionState.CLOSED]

    def counts(self) -> Mapping[StreamMode, int]:
        """Returns how many sessions of all callers take up room, by who speaks in them.

        Any thread may ask.
        """
        return Counter(life.terms.mode for life in list(self._lives.values()))

    async def close(self, session_id: str) -> None:
        """Ends a session and waits until everything of it is let go. Raises SessionNotFound."""
        life = self._mine(session_id)
        life.end(CloseCause.REQUEST)
        await life.ended()

    def revoke(self, key_ids: Collection[str]) -> None:
        """Ends the sessions that were opened with these keys."""
        for life in self._lives.values():
            if life.terms.key_id in key_ids:
                life.end(CloseCause.REVOKED)

    async def close_all(self) -> None:
        """Ends all sessions, opens none any more, and returns when nothing is left of them."""
        self.is_closing = True
        lives = list(self._lives.values())
        for life in lives:
            life.end(CloseCause.SHUTDOWN)
        try:
            async with asyncio.timeout(self._close_seconds):
                await _all_ended(lives)
        except TimeoutError:
            for life in lives:
                life.give_up()
            await _all_ended(lives)

    def _reserve(self, opening: Opening, transport: str, connect: Connected) -> Life:
        """Takes a place for a session, and begins it."""
        if self.is_closing:
            raise ShuttingDown
        facts = self._host.facts
        terms = Terms(
            opening=opening,
            owner=current_caller(),
            key_id=current_key_id(),
            mode=facts.mode,
            transport=transport,
            fps=opening.fps(facts),
            close_seconds=self._close_seconds,
        )
        session_id = opening.session_id or str(uuid4())
        if session_id in self._lives:
            raise SessionAlreadyExists(session_id)
        if len(self._lives) >= self.limit:
            raise SessionLimitReached(self.limit)
        life = self._lives[session_id] = Life(
            session_id,
            terms,
            host=self._host,
            connect=connect,
            adopt=self._rename,
            forget=self._forget,
        )
        life.begin()
        return life

    def _rename(self, life: Life, session_id: str) -> None:
        if self._lives.get(session_id, life) is not life:
            raise SessionAlreadyExists(session_id)
        life.id = session_id
        self._lives = {each.id: each for each in self._lives.values()}  # in their order

    def _forget(self, life: Life) -> None:
        del self._lives[life.id]

    def _mine(self, session_id: str) -> Life:
        life = self._lives.get(session_id)
        if life is None or not is_mine(life.terms.owner):
            raise SessionNotFound(session_id)
        return life


async def _all_ended(lives: Iterable[Life]) -> None:
    for life in lives:
        await life.ended()
