"""The videos of the OpenAI API: tasks in other words."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.openai.v1 import video_service_pb2 as pb
from telefuser_grpc._gen.openai.v1.video_service_pb2_grpc import VideoServiceServicer
from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import TaskNotFound
from telefuser_grpc.scheduler.admission import Admission, TaskRequest
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.ports import Uploads
from telefuser_grpc.server.file_stream import file_bodies
from telefuser_grpc.server.links import Links
from telefuser_grpc.server.openai.errors import named_as_sent
from telefuser_grpc.server.openai.repetition import Repetition
from telefuser_grpc.server.openai.video_bodies import (
    CreateVideoBody,
    SourceVideoBody,
    VideoBody,
    generic_defaults,
)
from telefuser_grpc.server.openai.video_content import VideoFiles
from telefuser_grpc.server.openai.video_errors import (
    CharacterNotFound,
    Unsupported,
    VideoNotFound,
)
from telefuser_grpc.server.openai.video_input import Asked, asked, more_than_once
from telefuser_grpc.server.openai.video_listing import list_query, page_of_videos
from telefuser_grpc.server.openai.video_object import poll_after_ms, video_object
from telefuser_grpc.server.openai.video_reference import field_of, media_field
from telefuser_grpc.server.openai.video_source import (
    EDIT,
    EXTENSION,
    REMIX,
    Source,
    Way,
    given_source,
    stored_source,
    way_of,
)
from telefuser_grpc.server.rest.bodies import Malformed, detail, json_response, parse
from telefuser_grpc.server.rpc import Context

DEFAULT_KIND = "t2v"
STOP_MARGIN_SECONDS = 10.0
"""How long a deletion waits for the end of a run beyond what a replica may take to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoParts:
    """What the videos work with.

    Attributes:
        max_json_bytes: The largest JSON body.
        kept_seconds: How long a video is kept after its end; 0 where that is not bounded.
    """

    tasks: Desk
    admission: Admission
    uploads: Uploads
    library: Library
    links: Links
    max_json_bytes: int
    kept_seconds: float = 0.0
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


class VideoServicer(VideoServiceServicer):
    """Answers `openai.v1.VideoService`."""

    def __init__(self, parts: VideoParts) -> None:
        self._parts = parts
        self._tasks = parts.tasks
        self._admission = parts.admission
        self._files = VideoFiles(tasks=parts.tasks, library=parts.library)

    async def CreateVideo(
        self, requests: AsyncIterator[pb.CreateVideoRequest], context: Context
    ) -> pb.CreateVideoResponse:
        async with AsyncExitStack() as stack:
            given = await self._asked(
                CreateVideoBody, _bodies(requests), context, file="input_reference", stack=stack
            )
            fields, contents = _reference(given)
            request = TaskRequest(
                fields=given.body.fields(self._admission.contract) | fields,
                generic_defaults=generic_defaults(self._admission.contract),
                contents=contents,
                default_kind=DEFAULT_KIND,
                media_type=MediaType.VIDEO,
            )
            sent_as = "reference_url" if given.body.reference_url else "input_reference"
            with named_as_sent(dict.fromkeys(fields, sent_as)):
                task = await self._admit(request, context)
        return pb.CreateVideoResponse(body=await self._told(task, context))

    async def ListVideos(
        self, request: pb.ListVideosRequest, context: Context
    ) -> pb.ListVideosResponse:
        query = list_query(after=request.after, limit=request.limit, order=request.order)
        contract = self._admission.contract if self._admission.is_open else None
        tasks, has_more = await page_of_videos(self._tasks, query, contract)
        body = {
            "object": "list",
            "data": [self._object(task, context) for task in tasks],
            "first_id": tasks[0].id if tasks else None,
            "last_id": tasks[-1].id if tasks else None,
            "has_more": has_more,
        }
        return pb.ListVideosResponse(body=json_response(body))

    async def GetVideo(self, request: pb.GetVideoRequest, context: Context) -> pb.GetVideoResponse:
        task = await self._files.task(request.video_id)
        return pb.GetVideoResponse(body=await self._told(task, context))

    async def DeleteVideo(
        self, request: pb.DeleteVideoRequest, context: Context
    ) -> pb.DeleteVideoResponse:
        task = await self._files.task(request.video_id)
        try:
            ended = task if task.state.is_terminal else await self._stopped(task)
            await self._tasks.delete(task.id)
        except TaskNotFound:
            raise VideoNotFound(task.id) from None
        was_stopped = ended is not task and ended.state is TaskState.CANCELLED
        body = {
            "id": task.id,
            "object": "video.deleted",
            "deleted": True,
            "status": "cancelled" if was_stopped else "deleted",
        }
        return pb.DeleteVideoResponse(body=json_response(body))

    async def GetVideoContent(
        self, request: pb.GetVideoContentRequest, context: Context
    ) -> AsyncIterator[pb.GetVideoContentResponse]:
        artifact = await self._files.variant(request.video_id, request.variant)
        async for body in file_bodies(artifact, self._parts.library, context):
            yield pb.GetVideoContentResponse(body=body)

    async def RemixVideo(
        self, request: pb.RemixVideoRequest, context: Context
    ) -> pb.RemixVideoResponse:
        body = parse(VideoBody, request.body)
        await self._files.video(request.video_id)
        way = way_of(self._admission.contract, REMIX, "remix")
        async with stored_source(
            way, request.video_id, files=self._files, uploads=self._parts.uploads
        ) as source:
            task = await self._admit(self._continued(body, source), context)
        return pb.RemixVideoResponse(body=await self._told(task, context))

    async def EditVideo(
        self, requests: AsyncIterator[pb.EditVideoRequest], context: Context
    ) -> pb.EditVideoResponse:
        task = await self._from_video(_bodies(requests), context, ways=EDIT, what="edit")
        return pb.EditVideoResponse(body=await self._told(task, context))

    async def ExtendVideo(
        self, requests: AsyncIterator[pb.ExtendVideoRequest], context: Context
    ) -> pb.ExtendVideoResponse:
        task = await self._from_video(_bodies(requests), context, ways=EXTENSION, what="extend")
        return pb.ExtendVideoResponse(body=await self._told(task, context))

    async def CreateCharacter(
        self, requests: AsyncIterator[pb.CreateCharacterRequest], context: Context
    ) -> pb.CreateCharacterResponse:
        raise Unsupported("Characters are not supported: no pipeline that is served keeps them")

    async def GetCharacter(
        self, request: pb.GetCharacterRequest, context: Context
    ) -> pb.GetCharacterResponse:
        raise CharacterNotFound(request.character_id)

    async def _from_video(
        self,
        bodies: AsyncIterator[HttpBody],
        context: Context,
        *,
        ways: Sequence[Way],
        what: str,
    ) -> Task:
        way = way_of(self._admission.contract, ways, what)
        async with AsyncExitStack() as stack:
            given = await self._asked(SourceVideoBody, bodies, context, file="video", stack=stack)
            source = await self._source(way, given, stack)
            return await self._admit(self._continued(given.body, source), context)

    async def _asked(
        self,
        model: type[Any],
        bodies: AsyncIterator[HttpBody],
        context: Context,
        *,
        file: str,
        stack: AsyncExitStack,
    ) -> Asked[Any]:
        """Reads a body whose file is there until the stack is closed."""
        if not Repetition.of(context).was_sent_before:
            self._admission.check_room()
        return await stack.enter_async_context(
            asked(
                model,
                bodies,
                file=file,
                uploads=self._parts.uploads,
                contract=self._admission.contract,
                max_json_bytes=self._parts.max_json_bytes,
            )
        )

    async def _source(
        self, way: Way, given: Asked[SourceVideoBody], stack: AsyncExitStack
    ) -> Source:
        if given.file:
            upload = given.file.upload
            return given_source(way, f"upload:{upload.id}", upload.sha256)
        if given.body.reference:
            return given_source(way, given.body.reference)
        if not given.body.stored_id:
            raise Malformed([detail(["body", "video"], "Field required", "missing")])
        return await stack.enter_async_context(
            stored_source(way, given.body.stored_id, files=self._files, uploads=self._parts.uploads)
        )

    def _continued(self, body: VideoBody, source: Source) -> TaskRequest:
        contract = self._admission.contract
        return TaskRequest(
            kind=source.kind,
            fields={**body.fields(contract), **source.fields},
            generic_defaults={**generic_defaults(contract), **source.inherited},
            contents=source.contents,
        )

    async def _admit(self, request: TaskRequest, context: Context) -> Task:
        return await self._admission.admit(Repetition.of(context).marked(request))

    async def _stopped(self, task: Task) -> Task:
        """Cancels a task and waits for its end; one that does not end in time goes on ending."""
        await self._tasks.cancel(task.id)
        limit = self._tasks.limits.cancel_seconds + STOP_MARGIN_SECONDS
        try:
            async with asyncio.timeout(limit), aclosing(self._tasks.watch(task.id)) as events:
                async for _ in events:
                    pass
        except TimeoutError:
            return task
        return await self._tasks.get(task.id)

    async def _told(self, task: Task, context: Context) -> HttpBody:
        """Returns what a caller is told of a video, and says in a header when to ask again."""
        delay = poll_after_ms(task, self._tasks.queue(), self._parts.clock())
        if delay is not None:
            await context.send_initial_metadata((("openai-poll-after-ms", str(delay)),))
        return json_response(self._object(task, context))

    def _object(self, task: Task, context: Context) -> dict[str, Any]:
        url = self._parts.links.to(f"/v1/videos/{task.id}/content", context)
        return video_object(task, url=url, kept_seconds=self._parts.kept_seconds)


async def _bodies(requests: AsyncIterator[Any]) -> AsyncIterator[HttpBody]:
    """Begins with the call's messages when the first is asked for: gRPC minds an idle beginning."""
    async for each in requests:
        yield each.body


def _reference(given: Asked[CreateVideoBody]) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the media field that a reference stands for, and a file's checksum by its field."""
    references = given.body.references
    if len(references) + bool(given.file) > 1:
        raise more_than_once("input_reference")
    if given.file:
        upload = given.file.upload
        field = field_of(upload.facts.content_type)
        return {field: f"upload:{upload.id}"}, {field: f"sha256:{upload.sha256}"}
    return {media_field(each): each for each in references}, {}
