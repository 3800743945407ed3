"""The native session service."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace

from telefuser_grpc._gen.telefuser.v1 import session_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1.session_service_pb2_grpc import SessionServiceServicer
from telefuser_grpc.domain.session import CloseCause, Session, SessionState
from telefuser_grpc.errors import InvalidFields, SessionLimitReached, Violation
from telefuser_grpc.scheduler.session_opening import Opening
from telefuser_grpc.scheduler.sessions import Sessions
from telefuser_grpc.server import convert
from telefuser_grpc.server.rpc import Context
from telefuser_grpc.server.session_peer import GrpcPeer
from telefuser_grpc.server.session_pictures import format_name

CALLS_OF_A_PLACE = 2
"""Calls for each session that may be: one that is over is held by a client that does not read."""


class SessionServicer(SessionServiceServicer):
    """Answers `telefuser.v1.SessionService`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._calls = 0

    async def Interact(
        self, requests: AsyncIterator[pb.InteractRequest], context: Context
    ) -> AsyncIterator[pb.InteractResponse]:
        messages = aiter(requests)
        wish = _opening_message(await anext(messages, None))
        name = format_name(wish.picture_format, field="open.picture_format")
        opening = Opening(
            session_id=wish.session_id, fields=convert.free_fields(wish.config, "open.config")
        )
        peer = GrpcPeer(messages, picture_format=name)
        with self._counted():
            life = await self._sessions.open(opening, peer)
            try:
                stands = replace(life.session, state=SessionState.ACTIVE)
                opened = pb.SessionOpened(session=session_message(stands), fps=life.terms.fps)
                yield pb.InteractResponse(opened=opened)
                async for response in peer.responses():
                    yield response
                await life.ended()
            finally:
                life.end(CloseCause.CONNECTION)
        if fault := peer.fault or life.error:
            raise fault

    async def OfferSession(
        self, request: pb.OfferSessionRequest, context: Context
    ) -> pb.OfferSessionResponse:
        if not request.sdp:
            raise InvalidFields([Violation("sdp", "is empty; send the client's offer", "missing")])
        opening = Opening(
            session_id=request.session_id, fields=convert.free_fields(request.config, "config")
        )
        answer = await self._sessions.offer(opening, request.sdp)
        return pb.OfferSessionResponse(session_id=answer.session_id, sdp=answer.sdp)

    async def GetSession(
        self, request: pb.GetSessionRequest, context: Context
    ) -> pb.GetSessionResponse:
        session = self._sessions.get(request.session_id)
        return pb.GetSessionResponse(session=session_message(session))

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        return pb.ListSessionsResponse(sessions=map(session_message, self._sessions.list()))

    async def CloseSession(
        self, request: pb.CloseSessionRequest, context: Context
    ) -> pb.CloseSessionResponse:
        await self._sessions.close(request.session_id)
        return pb.CloseSessionResponse()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Surrounds a call that takes up memory. Raises SessionLimitReached."""
        if self._calls >= CALLS_OF_A_PLACE * self._sessions.limit:
            raise SessionLimitReached(self._sessions.limit)
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1


def session_message(session: Session) -> pb.Session:
    """Writes a session."""
    return pb.Session(
        id=session.id,
        mode=f"SESSION_MODE_{session.mode.name}",
        state=f"SESSION_STATE_{session.state.name}",
        transport=session.transport,
        chunks=session.chunks,
    )


def _opening_message(request: pb.InteractRequest | None) -> pb.SessionOpening:
    if request is None or not request.HasField("open"):
        why = "is missing: the first message must open the session"
        raise InvalidFields([Violation("open", why, "missing")])
    return request.open
