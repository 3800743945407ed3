"""Calls as the gateway makes them, and what it would make of their answers."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.telefuser.rest.v1 import (
    rest_file_service_pb2_grpc,
    rest_system_service_pb2_grpc,
    rest_task_service_pb2,
    rest_task_service_pb2_grpc,
)
from tests.server.backend import Backend

LOST_ANSWER = "Internal error from Core"
"""What grpc.aio says in place of an answer that came while it was still sending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; `headers` is the metadata that the gateway would turn into headers."""

    status: int
    body: bytes
    headers: dict[str, str]
    content_type: str = "application/json"
    code: grpc.StatusCode = grpc.StatusCode.OK

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def detail(self) -> Any:
        """What an error says."""
        return self.json["detail"]

    @property
    def faults(self) -> list[tuple[Any, str]]:
        """Place and type of each fault in an error that lists them."""
        return [(each["loc"], each["type"]) for each in self.detail]


class Gateway:
    """The documented REST face, without Envoy before it."""

    def __init__(self, backend: Backend) -> None:
        self.tasks = rest_task_service_pb2_grpc.RestTaskServiceStub(backend.channel)
        self.files = rest_file_service_pb2_grpc.RestFileServiceStub(backend.channel)
        self.system = rest_system_service_pb2_grpc.RestSystemServiceStub(backend.channel)

    async def create(self, body: Any, **headers: str) -> Answer:
        """Posts a body, JSON unless it is bytes, to `/v1/tasks/create`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        http = HttpBody(content_type="application/json", data=data)
        request = rest_task_service_pb2.CreateTaskRequest(body=http)
        return await self.ask(self.tasks.CreateTask, request, **headers)

    async def form(
        self,
        data: dict[str, Any] | None = None,
        files: dict[str, Any] | None = None,
        **headers: str,
    ) -> Answer:
        """Posts a form to `/v1/tasks/form`, multipart if it has files."""
        request = httpx.Request("POST", "http://g", data=data or {}, files=files)
        content_type = request.headers.get("content-type", "application/x-www-form-urlencoded")
        return await self.post_form(content_type, [request.read()], **headers)

    async def post_form(self, content_type: str, pieces: Iterable[bytes], **headers: str) -> Answer:
        """Posts a body to `/v1/tasks/form`, piece by piece."""
        request = body_requests(
            rest_task_service_pb2.CreateTaskFromFormRequest, content_type, pieces
        )
        return await self.ask(self.tasks.CreateTaskFromForm, request, **headers)

    async def list(self, **query: Any) -> Answer:
        """Gets `/v1/tasks`."""
        return await self.ask(self.tasks.ListTasks, rest_task_service_pb2.ListTasksRequest(**query))

    async def status(self, task_id: str) -> Answer:
        """Gets `/v1/tasks/{task_id}/status`."""
        request = rest_task_service_pb2.GetTaskStatusRequest(task_id=task_id)
        return await self.ask(self.tasks.GetTaskStatus, request)

    async def delete(self, task_id: str) -> Answer:
        """Deletes `/v1/tasks/{task_id}`."""
        request = rest_task_service_pb2.CancelTaskRequest(task_id=task_id)
        return await self.ask(self.tasks.CancelTask, request)

    async def ask(self, method: Any, request: Any, **headers: str) -> Answer:
        """Calls a method, unary or streaming, and reads its answer to the end."""
        call = method(request, metadata=transcoded(**headers))
        try:
            bodies = await _bodies(call)
        except grpc.aio.AioRpcError as error:
            if error.details() == LOST_ANSWER and isinstance(request, list):
                return await self.ask(method, request, **headers)
            trailing = _plain(error.trailing_metadata())
            return Answer(
                status=int(trailing["x-http-status"]),
                body=trailing["x-error-json"].encode(),
                headers=trailing,
                code=error.code(),
            )
        initial = _plain(await call.initial_metadata())
        return Answer(
            status=int(initial.get("x-http-status", "200")),
            body=b"".join(each.data for each in bodies),
            headers=initial,
            content_type=bodies[0].content_type,
        )


def body_requests(message: Any, content_type: str, pieces: Iterable[bytes]) -> list[Any]:
    """Returns a body as the gateway passes it on: the content type comes with the first piece."""
    bodies = [HttpBody(data=piece) for piece in pieces]
    bodies[0].content_type = content_type
    return [message(body=body) for body in bodies]


def transcoded(**headers: str) -> tuple[tuple[str, str], ...]:
    """Returns the metadata of a call that the gateway has transcoded."""
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    return tuple(({"x-envoy-original-path": "/v1/any"} | own).items())


async def _bodies(call: Any) -> Sequence[HttpBody]:
    if isinstance(call, grpc.aio.UnaryStreamCall | grpc.aio.StreamStreamCall):
        return [response.body async for response in call]
    return [(await call).body]


def _plain(metadata: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in metadata or ()}
