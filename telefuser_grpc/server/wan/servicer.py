"""The documented image-to-video API of Wan2.1."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from telefuser_grpc._gen.wan.v1 import wan_service_pb2 as pb
from telefuser_grpc._gen.wan.v1.wan_service_pb2_grpc import WanServiceServicer
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import TaskNotFound
from telefuser_grpc.scheduler.admission import Admission, TaskRequest
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.ports import TaskQuery, Uploads
from telefuser_grpc.server.file_stream import file_bodies
from telefuser_grpc.server.image_to_video.memory import DeviceMemory, Shape
from telefuser_grpc.server.links import Links
from telefuser_grpc.server.pictures import Picture, fitted, uploaded
from telefuser_grpc.server.rest.bodies import json_response, parse
from telefuser_grpc.server.rpc import Context
from telefuser_grpc.server.wan.bodies import (
    MODEL,
    WORDS,
    WanSubmitBody,
    WanTaskBody,
    status_body,
)
from telefuser_grpc.server.wan.errors import (
    TooLargeForMemory,
    WanDisabled,
    WanRefused,
    unknown_model,
)
from telefuser_grpc.server.wan.files import FOLDER, find_video, is_ours, video_address
from telefuser_grpc.server.wan.sizes import RatioTooLong, effective_frames, output_size

Fetch: TypeAlias = Callable[[str, str, Path], Awaitable[None]]
"""Writes what an address holds to a file; the first argument names the field in errors.

Raises:
    UrlNotAccessible, UploadTooLarge, StorageFull
"""
KIND = "i2v"
FPS = 16
MEASURED = 20
"""Runs, the newest, whose memory says what the next one takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WanParts:
    """What this interface needs beside the use cases.

    Attributes:
        fetch: Fetches the image, within the seconds that a submission may take.
        has_keys: Whether the service knows its callers; without keys it answers nobody.
        watch: Is told the id of every task before it is admitted here.
    """

    fetch: Fetch
    has_keys: bool = False
    watch: Callable[[str], None] = lambda task_id: None


class WanServicer(WanServiceServicer):
    """Answers `wan.v1.WanService`."""

    def __init__(
        self,
        parts: WanParts,
        *,
        tasks: Desk,
        admission: Admission,
        uploads: Uploads,
        library: Library,
        links: Links,
        memory: DeviceMemory,
    ) -> None:
        self._parts = parts
        self._memory = memory
        self._tasks = tasks
        self._admission = admission
        self._uploads = uploads
        self._library = library
        self._links = links

    async def SubmitVideo(
        self, request: pb.SubmitVideoRequest, context: Context
    ) -> pb.SubmitVideoResponse:
        self._check_open()
        asked = parse(WanSubmitBody, request.body)
        self._check_model(asked.model)
        self._admission.check_room()
        picture = await self._picture(asked)
        await self._check_memory(asked, picture)
        async with uploaded(picture, self._uploads, field="image_url") as reference:
            wanted = _request(asked, picture, reference)
            self._parts.watch(wanted.task_id)
            task = await self._admission.admit(wanted)
        await context.send_initial_metadata((("x-http-status", "202"),))
        return pb.SubmitVideoResponse(body=json_response({"requestId": task.id}))

    async def GetVideoStatus(
        self, request: pb.GetVideoStatusRequest, context: Context
    ) -> pb.GetVideoStatusResponse:
        self._check_open()
        task = await self._find(request)
        body = status_body(
            task,
            url=self._links.to(video_address(task), context),
            queue_position=self._tasks.place(task.id) if task.state is TaskState.PENDING else None,
        )
        return pb.GetVideoStatusResponse(body=json_response(body))

    async def CancelVideo(
        self, request: pb.CancelVideoRequest, context: Context
    ) -> pb.CancelVideoResponse:
        self._check_open()
        task = await self._find(request)
        if task.state.is_terminal or not self._tasks.holds(task.id):
            raise WanRefused(f"仅允许取消排队任务，当前状态: {WORDS[task.state]}")
        await self._tasks.cancel(task.id)
        return pb.CancelVideoResponse(body=json_response({"status": "Succeed"}))

    async def GetVideoFile(
        self, request: pb.GetVideoFileRequest, context: Context
    ) -> AsyncIterator[pb.GetVideoFileResponse]:
        artifact = await find_video(self._library, request.file)
        async for body in file_bodies(artifact, self._library, context):
            yield pb.GetVideoFileResponse(body=body)

    def _check_open(self) -> None:
        if not self._parts.has_keys:
            raise WanDisabled

    def _check_model(self, model: str) -> None:
        """The documented name stands for whatever is served; it is also the default."""
        contract = self._admission.contract
        contract.task(KIND)
        if model not in (MODEL, contract.pipeline_name):
            raise unknown_model(model, contract.pipeline_name)

    async def _check_memory(self, asked: WanSubmitBody, picture: Picture) -> None:
        """Refuses what runs were measured to need and no device has now."""
        query = TaskQuery(states=(TaskState.COMPLETED,), kinds=(KIND,), page_size=MEASURED)
        for task in (await self._tasks.list(query)).tasks:
            if is_ours(task):
                self._memory.learn(_shape(task.fields), task.peak_memory_mib)
        shape = picture.width, picture.height, effective_frames(asked.num_frames)
        if self._memory.is_measured(shape) and not await asyncio.to_thread(
            self._memory.fits, shape
        ):
            raise TooLargeForMemory

    async def _picture(self, asked: WanSubmitBody) -> Picture:
        folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="telefuser-image-")
        try:
            path = Path(folder.name, "image")
            await self._parts.fetch("image_url", asked.image_url, path)
            return await fitted(
                path, lambda *size: output_size(asked.image_size, *size), field="image_url"
            )
        except RatioTooLong:
            raise WanRefused("图像宽高比超过8:1，请裁剪后重试，或指定分辨率") from None
        finally:
            await asyncio.to_thread(folder.cleanup)

    async def _find(self, request: Any) -> Task:
        """Returns the task of this interface that a body names. Raises TaskNotFound."""
        task_id = parse(WanTaskBody, request.body).requestId
        task = await self._tasks.get(task_id)
        if not is_ours(task):
            raise TaskNotFound(task_id)
        return task


def _shape(fields: Mapping[str, Any]) -> Shape:
    return fields["width"], fields["height"], fields["num_frames"]


def _request(asked: WanSubmitBody, picture: Picture, reference: str) -> TaskRequest:
    frames = effective_frames(asked.num_frames)
    fields: dict[str, Any] = {
        "prompt": asked.prompt,
        "first_image_path": reference,
        "width": picture.width,
        "height": picture.height,
        "num_frames": frames,
        "guidance_scale": asked.guidance_scale,
        "num_inference_steps": asked.infer_steps,
        "seed": secrets.randbelow(2**31) if asked.seed is None else asked.seed,
        "output_path": f"{FOLDER}/{secrets.token_hex(16)}.mp4",
    }
    if asked.negative_prompt:
        fields["negative_prompt"] = asked.negative_prompt
    return TaskRequest(
        kind=KIND,
        task_id=secrets.token_hex(16),
        has_final_id=True,
        fields=fields,
        generic_defaults={
            "resolution": "480p",
            "fps": FPS,
            "target_video_length": round(frames / FPS),
        },
    )
