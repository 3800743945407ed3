"""One call for images: its tasks, and the answer that is made of them."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from pathlib import Path

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc.domain.task import Preview, Progress, Task, TaskEvent
from telefuser_grpc.errors import OutputInvalid, TeleFuserError
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.server.chunks import CHUNK_BYTES
from telefuser_grpc.server.links import Links
from telefuser_grpc.server.openai.errors import IMAGE_NAMES, error_object
from telefuser_grpc.server.openai.gallery import Gallery
from telefuser_grpc.server.openai.image_answers import (
    MadeImage,
    completed_event,
    frame,
    partial_event,
    result_body,
)
from telefuser_grpc.server.openai.image_format import encoded, format_of
from telefuser_grpc.server.openai.image_order import ImageOrder
from telefuser_grpc.server.openai.image_tasks import ImageTasks
from telefuser_grpc.server.openai.repetition import Repetition
from telefuser_grpc.server.openai.streaming import PreviewChoice, kept_alive
from telefuser_grpc.server.rest import sse
from telefuser_grpc.server.rpc import Context

JSON = "application/json"
PREVIEW_FORMAT = "jpeg"
NO_FILE = "Generation completed but no output path found"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageParts:
    """What every call works with."""

    desk: Desk
    tasks: ImageTasks
    gallery: Gallery
    links: Links


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCall:
    """A call whose tasks are admitted.

    Attributes:
        family: What the names of its events begin with.
        tasks: One for each image, in their order.
    """

    order: ImageOrder
    family: str
    repetition: Repetition
    tasks: Sequence[Task]
    parts: ImageParts

    async def bodies(self, context: Context) -> AsyncGenerator[HttpBody, None]:
        """Yields the answer, of either kind; the tasks end with whoever reads it."""
        if not self.order.body.stream:
            async with self._attended(may_return=self.repetition.may_come_again):
                data = await self._result(context)
            for start in range(0, len(data), CHUNK_BYTES):
                yield HttpBody(content_type=JSON, data=data[start : start + CHUNK_BYTES])
            return
        async for data in self._frames():
            for start in range(0, len(data), CHUNK_BYTES):
                chunk = data[start : start + CHUNK_BYTES]
                yield HttpBody(content_type=sse.CONTENT_TYPE, data=chunk)

    async def _result(self, context: Context) -> bytes:
        body = self.order.body
        tasks = await self.parts.tasks.ended(self.tasks)
        if body.is_inline:
            images = [await self._inline(task) for task in tasks]
        else:
            images = [self._linked(task, context) for task in tasks]
        told = result_body(images, body, self.order.revised_prompt)
        return await asyncio.to_thread(_json, told)

    async def _frames(self) -> AsyncGenerator[bytes, None]:
        """Yields frames; an error after the first is one too."""
        try:
            async with (
                self._attended(may_return=False),
                aclosing(self._events()) as events,
                aclosing(kept_alive(events)) as frames,
            ):
                async for each in frames:
                    yield each
        except TeleFuserError as error:
            yield frame({"type": "error", "error": error_object(error, IMAGE_NAMES)})

    async def _events(self) -> AsyncGenerator[bytes, None]:
        for task in self.tasks:
            async with aclosing(self.parts.desk.watch(task.id)) as events:
                async for each in self._previews(events):
                    yield each
            image = await self._inline(await self.parts.tasks.completed(task.id))
            yield frame(completed_event(self.family, self.order.body, image))

    async def _previews(self, events: AsyncIterator[TaskEvent]) -> AsyncIterator[bytes]:
        choice = PreviewChoice(self.order.body.partial_images)
        attempt, number = 0, 0
        async for event in events:
            if event.attempt != attempt:  # what a dead replica had begun is begun again
                attempt, choice.steps = event.attempt, 0
            match event.change:
                case Progress():
                    choice.note(event.change)
                case Preview() if choice.take(event.change):
                    yield await self._partial(event, event.change, number)
                    number += 1
                case _ if event.is_last:
                    for preview in choice.rest():
                        yield await self._partial(event, preview, number)
                        number += 1

    async def _partial(self, event: TaskEvent, preview: Preview, number: int) -> bytes:
        wanted = self.order.body.wanted_format or "png"
        picture = await encoded(preview.image, PREVIEW_FORMAT, wanted=wanted)
        created_at = int(event.time.timestamp())
        body = self.order.body
        return frame(
            partial_event(self.family, body, picture=picture, number=number, created_at=created_at)
        )

    async def _inline(self, task: Task) -> MadeImage:
        image = _made(task)
        body = self.order.body
        path = Path(await self.parts.gallery.path(image.artifact))
        kept = format_of(image.artifact.facts.content_type)
        picture = await encoded(
            path, kept, wanted=body.wanted_format, compression=body.output_compression
        )
        return MadeImage(task=task, encoded=picture)

    def _linked(self, task: Task, context: Context) -> MadeImage:
        _made(task)
        url = self.parts.links.to(f"/v1/images/{task.id}/content", context)
        return MadeImage(task=task, url=url)

    def _attended(self, *, may_return: bool) -> AbstractAsyncContextManager[None]:
        return self.parts.tasks.attended(self.tasks, may_return=may_return)


def _made(task: Task) -> MadeImage:
    if not task.artifacts:
        raise OutputInvalid(NO_FILE)
    return MadeImage(task=task)


def _json(told: object) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
