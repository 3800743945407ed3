"""The documented REST face of sessions."""

from typing import Any, Literal

from google.api.httpbody_pb2 import HttpBody
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from telefuser_grpc._gen.telefuser.rest.v1 import rest_stream_service_pb2 as pb
from telefuser_grpc._gen.telefuser.rest.v1.rest_stream_service_pb2_grpc import (
    RestStreamServiceServicer,
)
from telefuser_grpc.domain.session import StreamMode
from telefuser_grpc.errors import SessionNotFound
from telefuser_grpc.scheduler.session_opening import MAX_FPS, Opening
from telefuser_grpc.scheduler.sessions import Sessions
from telefuser_grpc.server.rest.bodies import json_response, parse
from telefuser_grpc.server.rpc import Context

APART = frozenset({"sdp", "type", "session_id", "config"})
"""Fields of a body that the pipeline does not get among the others."""


class OfferBody(BaseModel):
    """The body of `POST /v1/stream/webrtc/offer`; other fields are kept for the pipeline."""

    model_config = ConfigDict(extra="allow")

    sdp: str
    task: str
    type: Literal["offer"] = "offer"
    session_id: str | None = None
    prompt: str | None = None
    fps: float | None = Field(default=None, gt=0, le=MAX_FPS, allow_inf_nan=False)
    config: dict[str, Any] = Field(default_factory=dict)

    @field_validator("fps", mode="wrap")
    @classmethod
    def _whole_as_sent(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        number = check(value)
        return value if type(value) is int else number

    def opening(self) -> Opening:
        """Returns what the session shall be; what was not said is not said on."""
        said = self.model_dump(exclude_unset=True)
        return Opening(
            session_id=self.session_id or "",
            fields={name: value for name, value in said.items() if name not in APART},
            config=self.config,
        )


class RestStreamServicer(RestStreamServiceServicer):
    """Answers `telefuser.rest.v1.RestStreamService`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def OfferSession(
        self, request: pb.OfferSessionRequest, context: Context
    ) -> pb.OfferSessionResponse:
        body = parse(OfferBody, request.body)
        answer = await self._sessions.offer(body.opening(), body.sdp)
        return pb.OfferSessionResponse(
            body=json_response(
                {"session_id": answer.session_id, "sdp": answer.sdp, "type": "answer"}
            )
        )

    async def CloseConnection(
        self, request: pb.CloseConnectionRequest, context: Context
    ) -> pb.CloseConnectionResponse:
        session_id = request.session_id
        try:
            is_webrtc = self._sessions.get(session_id).transport == "webrtc"
        except SessionNotFound:
            is_webrtc = False
        if not is_webrtc:
            raise SessionNotFound(session_id, kind="WebRTC session")
        await self._sessions.close(session_id)
        return pb.CloseConnectionResponse(body=_closed(session_id))

    async def CloseSession(
        self, request: pb.CloseSessionRequest, context: Context
    ) -> pb.CloseSessionResponse:
        mode = self._sessions.mode
        try:
            await self._sessions.close(request.session_id)
        except SessionNotFound:
            if mode is StreamMode.SERVER_PUSH:
                raise
        return pb.CloseSessionResponse(body=_closed(request.session_id))

    async def GetSessionStatus(
        self, request: pb.GetSessionStatusRequest, context: Context
    ) -> pb.GetSessionStatusResponse:
        return pb.GetSessionStatusResponse(body=json_response(self._status(request.session_id)))

    def _status(self, session_id: str) -> dict[str, str]:
        try:
            session = self._sessions.get(session_id)
        except SessionNotFound:
            return {"session_id": session_id, "status": "unknown"}
        return {"session_id": session_id, "status": "active", "stream_mode": str(session.mode)}


def _closed(session_id: str) -> HttpBody:
    return json_response({"session_id": session_id, "status": "closed"})
