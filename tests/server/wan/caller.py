"""Calls of the Wan2.1 interface as the gateway makes them."""

import json
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.wan.v1 import wan_service_pb2 as pb
from telefuser_grpc._gen.wan.v1.wan_service_pb2_grpc import WanServiceStub
from telefuser_grpc.domain.task import Task
from tests.fakes.web import Web
from tests.server.backend import Backend
from tests.server.rest.gateway import Answer, Gateway

PROMPT = "A dancing cat in the style of Van Gogh"


class Caller:
    """Submits, asks and cancels; without changes a submission is one that is good."""

    def __init__(self, backend: Backend, web: Web) -> None:
        self.url = f"http://127.0.0.1:{web.port}"
        self._backend = backend
        self._gateway = Gateway(backend)
        self._stub = WanServiceStub(backend.channel)

    async def submit(self, *, without: str = "", **changes: Any) -> Answer:
        """Posts to `/video/submit`."""
        body = {"prompt": PROMPT, "image_url": f"{self.url}/cat.png", "image_size": "auto"}
        body = {name: each for name, each in (body | changes).items() if name != without}
        return await self.post(body)

    async def post(self, body: Any) -> Answer:
        """Posts any body to `/video/submit`, JSON unless it is bytes."""
        return await self._ask(self._stub.SubmitVideo, pb.SubmitVideoRequest, body)

    async def submitted(self, **changes: Any) -> Task:
        """Submits, and returns the task that is stored."""
        answer = await self.submit(**changes)
        assert answer.status == 202, answer.body
        return await self._backend.tasks.get(answer.json["requestId"])

    async def status(self, request_id: Any, **headers: str) -> Answer:
        """Posts to `/video/status`."""
        body = {"requestId": request_id}
        return await self._ask(self._stub.GetVideoStatus, pb.GetVideoStatusRequest, body, **headers)

    async def cancel(self, request_id: Any) -> Answer:
        """Posts to `/video/cancel`."""
        body = {"requestId": request_id}
        return await self._ask(self._stub.CancelVideo, pb.CancelVideoRequest, body)

    async def file(self, name: str, **headers: str) -> Answer:
        """Gets `/videos/{file}`."""
        request = pb.GetVideoFileRequest(file=name)
        return await self._gateway.ask(self._stub.GetVideoFile, request, **headers)

    async def _ask(self, method: Any, request: Any, body: Any, **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        http = HttpBody(content_type="application/json", data=data)
        return await self._gateway.ask(method, request(body=http), **headers)
