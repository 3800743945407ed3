"""The documented Image-to-Video API: one call from a picture to a video."""

import asyncio
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.image_to_video.v1 import generation_service_pb2 as pb
from telefuser_grpc._gen.image_to_video.v1.generation_service_pb2_grpc import (
    GenerationServiceServicer,
)
from telefuser_grpc.domain.task import Task, TaskError, TaskState
from telefuser_grpc.errors import TaskAlreadyExists, TeleFuserError
from telefuser_grpc.scheduler.admission import Admission, TaskRequest
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.ports import Uploads
from telefuser_grpc.scheduler.service import Service
from telefuser_grpc.server.attendance import Attendance
from telefuser_grpc.server.file_stream import file_bodies
from telefuser_grpc.server.image_to_video.bodies import PRESETS, GenerateBody
from telefuser_grpc.server.image_to_video.errors import (
    GenerationFailed,
    NoMemory,
    PresetBusy,
    generation_wording,
)
from telefuser_grpc.server.image_to_video.files import FOLDER, find_video
from telefuser_grpc.server.image_to_video.inline import FIELD, write_picture
from telefuser_grpc.server.image_to_video.memory import DeviceMemory, Shape
from telefuser_grpc.server.image_to_video.names import Name, Names
from telefuser_grpc.server.image_to_video.result import Result
from telefuser_grpc.server.pictures import Picture, fitted, uploaded
from telefuser_grpc.server.rest.bodies import json_response, parse
from telefuser_grpc.server.rpc import Context

KIND = "i2v"
JSON = "application/json"
NO_VIDEO = TaskError(reason="INTERNAL", message="The task ended without a video")

logger = structlog.get_logger()


class GenerationServicer(GenerationServiceServicer):
    """Answers `image_to_video.v1.GenerationService`."""

    def __init__(
        self,
        *,
        tasks: Desk,
        admission: Admission,
        uploads: Uploads,
        library: Library,
        service: Service,
        memory: DeviceMemory,
        names: Names | None = None,
    ) -> None:
        self._tasks = tasks
        self._admission = admission
        self._uploads = uploads
        self._library = library
        self._service = service
        self._memory = memory
        self._names = names or Names()
        self._attendance = Attendance(tasks)
        self._presets: Counter[str] = Counter()

    async def GetHealth(
        self, request: pb.GetHealthRequest, context: Context
    ) -> pb.GetHealthResponse:
        used = await asyncio.to_thread(self._memory.used_gb)
        body = {
            "status": "healthy",
            "model_loaded": self._service.is_ready,
            "gpu_memory_used_gb": round(used, 1),
            "timestamp": _timestamp(),
        }
        return pb.GetHealthResponse(body=json_response(body))

    async def Generate(
        self, request: pb.GenerateRequest, context: Context
    ) -> AsyncIterator[pb.GenerateResponse]:
        generation = _Generation(self._names.next(), _client_ip(context))
        with generation.told():
            asked = parse(GenerateBody, request.body).completed()
            with self._preset(asked):
                await self._check_room(asked)
                picture = await _picture(asked)
                task = await self._admitted(asked, picture, generation)
                generation.starts(asked)
                async with self._attendance.attend(task, may_return=False):
                    task = await self._end_of(task)
            self._memory.learn(_shape(asked), task.peak_memory_mib)
            result = await self._result(task, asked)
            generation.ends()
        await context.send_initial_metadata((("x-content-length", str(result.length)),))
        async with aclosing(result.pieces()) as pieces:
            async for piece in pieces:
                yield pb.GenerateResponse(body=HttpBody(content_type=JSON, data=piece))

    async def GetOutput(
        self, request: pb.GetOutputRequest, context: Context
    ) -> AsyncIterator[pb.GetOutputResponse]:
        artifact = await find_video(self._library, request.file)
        async for body in file_bodies(artifact, self._library, context):
            yield pb.GetOutputResponse(body=body)

    @contextmanager
    def _preset(self, asked: GenerateBody) -> Iterator[None]:
        """Counts who makes a video of a preset. Raises PresetBusy."""
        if asked.preset is None:
            yield
            return
        limit = PRESETS[asked.preset].together * max(1, self._service.live_replicas())
        if self._presets[asked.preset] >= limit:
            raise PresetBusy(asked.preset, limit)
        self._presets[asked.preset] += 1
        try:
            yield
        finally:
            self._presets[asked.preset] -= 1

    async def _check_room(self, asked: GenerateBody) -> None:
        """Refuses what could not run, before the picture is looked at."""
        self._admission.contract.task(KIND)
        self._admission.check_room()
        if not await asyncio.to_thread(self._memory.fits, _shape(asked)):
            raise NoMemory(self._memory.required_gb(_shape(asked)))

    async def _admitted(
        self, asked: GenerateBody, picture: Picture, generation: "_Generation"
    ) -> Task:
        """Admits a task; one whose caller leaves meanwhile is ended at once."""
        admitting = asyncio.ensure_future(self._admit(asked, picture, generation))
        try:
            return await asyncio.shield(admitting)
        except asyncio.CancelledError:
            admitting.add_done_callback(self._abandon)
            raise

    def _abandon(self, admitting: "asyncio.Future[Task]") -> None:
        if not (admitting.cancelled() or admitting.exception()):
            self._attendance.leave(admitting.result(), may_return=False)

    async def _admit(
        self, asked: GenerateBody, picture: Picture, generation: "_Generation"
    ) -> Task:
        async with uploaded(picture, self._uploads, field=FIELD) as reference:
            while True:
                try:
                    return await self._admission.admit(_request(asked, generation.name, reference))
                except TaskAlreadyExists:  # made in this second by a server before this one
                    generation.name = self._names.next()

    async def _end_of(self, task: Task) -> Task:
        """Waits until a task has a video. Raises GenerationFailed."""
        async with aclosing(self._tasks.watch(task.id)) as events:
            async for _ in events:
                pass
        task = await self._tasks.get(task.id)
        if task.state is not TaskState.COMPLETED or not task.artifacts:
            raise GenerationFailed(task.error or NO_VIDEO)
        return task

    async def _result(self, task: Task, asked: GenerateBody) -> Result:
        artifact = task.artifacts[0]
        return Result(
            {"task_id": task.id, "status": "success"},
            await self._library.open_path(artifact),
            artifact.size_bytes,
            {
                "download_url": f"/outputs/{artifact.filename}",
                "inference_time_s": round(task.inference_seconds or 0.0, 1),
                "parameters": asked.parameters,
            },
        )


class _Generation:
    """What is logged of one call, and told with its errors; every line has the documented keys."""

    def __init__(self, name: Name, client_ip: str) -> None:
        self.name = name
        self._client_ip = client_ip
        self._params: dict[str, Any] | None = None
        self._began = time.monotonic()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Names the generation in the errors that leave the block, and logs them."""
        try:
            yield
        except TeleFuserError as error:
            error.metadata["task_id"] = self.name.task_id
            refusal = generation_wording(error)
            event = (
                "video_generation_rejected" if self._params is None else "video_generation_error"
            )
            self._log(event, code=refusal.body["code"], error=error.message, **self._duration())
            raise

    def starts(self, asked: GenerateBody) -> None:
        """Logs that the task is admitted."""
        self._params = {"resolution": asked.resolution, "frames": asked.num_frames}
        self._log("video_generation_start")

    def ends(self) -> None:
        """Logs that the video is there."""
        self._log("video_generation_end", **self._duration())

    def _duration(self) -> dict[str, float]:
        return {"duration_s": round(time.monotonic() - self._began, 3)}

    def _log(self, event: str, **values: Any) -> None:
        logger.info(
            event,
            timestamp=_timestamp(),
            level="INFO",
            task_id=self.name.task_id,
            params=self._params or {},
            client_ip=self._client_ip,
            **values,
        )


async def _picture(asked: GenerateBody) -> Picture:
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="telefuser-image-")
    try:
        path = Path(folder.name, "image")
        await asyncio.to_thread(write_picture, asked.image_base64, path)
        return await fitted(path, lambda *size: (asked.side, asked.side), field=FIELD)
    finally:
        await asyncio.to_thread(folder.cleanup)


def _request(asked: GenerateBody, name: Name, reference: str) -> TaskRequest:
    return TaskRequest(
        kind=KIND,
        task_id=name.task_id,
        fields={
            "prompt": asked.prompt,
            "first_image_path": reference,
            "width": asked.side,
            "height": asked.side,
            "num_frames": asked.num_frames,
            "fps": asked.fps,
            "num_inference_steps": asked.steps,
            "guidance_scale": asked.guidance_scale,
            "output_path": f"{FOLDER}/{name.file(asked.output_format)}",
        },
        generic_defaults={
            "resolution": asked.resolution,
            "target_fps": asked.fps,
            "target_video_length": max(1, round(asked.num_frames / asked.fps)),
            "seed": secrets.randbelow(2**31),
        },
    )


def _timestamp() -> str:
    """Writes the time in seconds, as the document of this interface does."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shape(asked: GenerateBody) -> Shape:
    return asked.side, asked.side, asked.num_frames


def _client_ip(context: Context) -> str:
    """Returns whom the gateway believes to be the client."""
    metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
    if address := metadata.get("x-envoy-external-address"):
        return address
    return metadata.get("x-forwarded-for", "").rpartition(",")[2].strip()
