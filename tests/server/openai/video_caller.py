"""Calls of the OpenAI videos as the gateway makes them."""

import json
from typing import Any

import httpx
from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.openai.v1 import video_service_pb2 as pb
from telefuser_grpc._gen.openai.v1 import video_service_pb2_grpc
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.task import Task
from tests.server.backend import Backend
from tests.server.rest.gateway import Answer, Gateway, body_requests

MEBIBYTE = 2**20
PROMPT = {"type": "string", "required": True}
VIDEO_CONTRACT = PipelineContract.parse(
    {
        "pipeline_name": "films",
        "supported_tasks": ["t2i", "t2v", "i2v", "vc"],
        "task_contracts": {
            "t2i": {"parameters": {"prompt": PROMPT}},
            "t2v": {
                "parameters": {
                    "prompt": PROMPT,
                    "steps": {"type": "integer", "minimum": 1, "maximum": 8},
                    "loop": {"type": "boolean"},
                    "camera": {"type": "object"},
                }
            },
            "i2v": {"parameters": {"prompt": PROMPT}},
            "vc": {"parameters": {"prompt": PROMPT}},
        },
    },
    stem="films",
)


class VideoCaller:
    """A REST caller of `/v1/videos`, without Envoy before the server."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.videos = video_service_pb2_grpc.VideoServiceStub(backend.channel)
        self._gateway = Gateway(backend)

    async def create(self, headers: dict[str, str] | None = None, /, **fields: Any) -> Answer:
        """Posts the fields with a prompt to `/v1/videos` as JSON."""
        return await self.send({"prompt": "a red ball"} | fields, **headers or {})

    async def send(self, body: Any, **headers: str) -> Answer:
        """Posts a body, or bytes that are meant as such, to `/v1/videos` as JSON."""
        return await self.post(self.videos.CreateVideo, pb.CreateVideoRequest, body, **headers)

    async def made(self, content: bytes = b"", **fields: Any) -> str:
        """Makes a video to its end, with a content if one is given; returns its id."""
        video_id = str((await self.create(**fields)).json["id"])
        await self.backend.ended(video_id)
        if content:
            await self.backend.rewrite(video_id, content)
        return video_id

    async def task(self, answer: Answer) -> Task:
        """Returns the task that an answer tells of."""
        assert answer.status == 200, answer.body
        return await self.backend.tasks.get(answer.json["id"])

    async def form(
        self, data: dict[str, Any] | None = None, files: Any = None, **headers: str
    ) -> Answer:
        """Posts a multipart form to `/v1/videos`."""
        fields = {"prompt": "a red ball"} | (data or {})
        return await self.post_form(
            self.videos.CreateVideo, pb.CreateVideoRequest, fields, files, **headers
        )

    async def post(self, method: Any, request: Any, body: Any, **headers: str) -> Answer:
        """Posts JSON, or bytes that are meant as such, in pieces as the gateway would."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        pieces = [data[:10], *(data[at : at + MEBIBYTE] for at in range(10, len(data), MEBIBYTE))]
        return await self.ask(method, body_requests(request, "application/json", pieces), **headers)

    async def post_form(
        self, method: Any, request: Any, data: Any, files: Any, **headers: str
    ) -> Answer:
        """Posts a multipart form."""
        parts = [(name, (None, str(value))) for name, value in data.items()]
        parts += list((files or {}).items())
        http = httpx.Request("POST", "http://g", files=parts)
        content_type = http.headers["content-type"]
        return await self.ask(
            method, body_requests(request, content_type, [http.read()]), **headers
        )

    async def get(self, video_id: str, **headers: str) -> Answer:
        """Gets `/v1/videos/{video_id}`."""
        request = pb.GetVideoRequest(video_id=video_id)
        return await self.ask(self.videos.GetVideo, request, **headers)

    async def list(self, **query: str) -> Answer:
        """Gets `/v1/videos`."""
        return await self.ask(self.videos.ListVideos, pb.ListVideosRequest(**query))

    async def delete(self, video_id: str) -> Answer:
        """Deletes `/v1/videos/{video_id}`."""
        return await self.ask(self.videos.DeleteVideo, pb.DeleteVideoRequest(video_id=video_id))

    async def content(self, video_id: str, variant: str = "", **headers: str) -> Answer:
        """Gets `/v1/videos/{video_id}/content`."""
        request = pb.GetVideoContentRequest(video_id=video_id, variant=variant)
        return await self.ask(self.videos.GetVideoContent, request, **headers)

    async def remix(self, video_id: str, body: Any) -> Answer:
        """Posts to `/v1/videos/{video_id}/remix`."""
        http = HttpBody(content_type="application/json", data=json.dumps(body).encode())
        request = pb.RemixVideoRequest(video_id=video_id, body=http)
        return await self.ask(self.videos.RemixVideo, request)

    async def edit(self, body: Any) -> Answer:
        """Posts JSON to `/v1/videos/edits`."""
        return await self.post(self.videos.EditVideo, pb.EditVideoRequest, body)

    async def extend(self, body: Any) -> Answer:
        """Posts JSON to `/v1/videos/extensions`."""
        return await self.post(self.videos.ExtendVideo, pb.ExtendVideoRequest, body)

    async def ask(self, method: Any, request: Any, **headers: str) -> Answer:
        """Calls a method."""
        return await self._gateway.ask(method, request, **headers)


def error_of(answer: Answer) -> tuple[int, str | None, str]:
    """Returns status, parameter and code of a refusal, which must have all the official keys."""
    error = answer.json["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert answer.json["detail"]
    assert isinstance(error["message"], str)
    return answer.status, error["param"], error["code"]
