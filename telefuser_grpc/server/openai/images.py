"""The images of the OpenAI API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.openai.v1 import image_service_pb2 as pb
from telefuser_grpc._gen.openai.v1.image_service_pb2_grpc import ImageServiceServicer
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.scheduler.admission import Admission
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.ports import Uploads
from telefuser_grpc.server.attendance import Attendance
from telefuser_grpc.server.links import Links
from telefuser_grpc.server.openai.errors import named_as_sent
from telefuser_grpc.server.openai.gallery import Gallery
from telefuser_grpc.server.openai.image_bodies import EditObject, GenerationBody
from telefuser_grpc.server.openai.image_call import ImageCall, ImageParts
from telefuser_grpc.server.openai.image_forms import (
    EDIT_FILES,
    VARIATION_FILES,
    edit_order,
    named_edit_order,
    variation_order,
)
from telefuser_grpc.server.openai.image_order import ImageOrder
from telefuser_grpc.server.openai.image_tasks import ImageTasks
from telefuser_grpc.server.openai.json_bodies import again, is_json, whole
from telefuser_grpc.server.openai.repetition import Repetition
from telefuser_grpc.server.rest.bodies import parse
from telefuser_grpc.server.rest.forms import Form, Takes, received
from telefuser_grpc.server.rpc import Context

GENERATION, EDIT = "image_generation", "image_edit"


class ImageServicer(ImageServiceServicer):
    """Answers `openai.v1.ImageService`."""

    def __init__(
        self,
        *,
        tasks: Desk,
        admission: Admission,
        uploads: Uploads,
        gallery: Gallery,
        links: Links,
        max_json_bytes: int,
        attendance: Attendance | None = None,
    ) -> None:
        self._admission = admission
        self._uploads = uploads
        self._gallery = gallery
        self._max_json_bytes = max_json_bytes
        made = ImageTasks(
            tasks=tasks,
            admission=admission,
            attendance=attendance or Attendance(tasks),
        )
        self._parts = ImageParts(desk=tasks, tasks=made, gallery=gallery, links=links)

    async def CreateImage(
        self, request: pb.CreateImageRequest, context: Context
    ) -> AsyncIterator[pb.CreateImageResponse]:
        body = parse(GenerationBody, request.body)
        order = ImageOrder(body=body, prompt=body.prompt, extras=body.model_extra or {})
        call = await self._begin(order, Repetition.of(context), family=GENERATION)
        async with aclosing(call.bodies(context)) as bodies:
            async for each in bodies:
                yield pb.CreateImageResponse(body=each)

    async def CreateImageEdit(
        self, requests: AsyncIterator[pb.CreateImageEditRequest], context: Context
    ) -> AsyncIterator[pb.CreateImageEditResponse]:
        sent = _bodies(requests)
        first = await anext(sent, HttpBody())
        if is_json(first):
            call = await self._begin_from_object(first, sent, context)
        else:
            call = await self._begin_from_form(
                again(first, sent), context, takes=EDIT_FILES, read=edit_order
            )
        async with aclosing(call.bodies(context)) as bodies:
            async for each in bodies:
                yield pb.CreateImageEditResponse(body=each)

    async def CreateImageVariation(
        self, requests: AsyncIterator[pb.CreateImageVariationRequest], context: Context
    ) -> AsyncIterator[pb.CreateImageVariationResponse]:
        sent = _bodies(requests)
        call = await self._begin_from_form(
            sent, context, takes=VARIATION_FILES, read=variation_order
        )
        async with aclosing(call.bodies(context)) as bodies:
            async for each in bodies:
                yield pb.CreateImageVariationResponse(body=each)

    async def GetImageContent(
        self, request: pb.GetImageContentRequest, context: Context
    ) -> AsyncIterator[pb.GetImageContentResponse]:
        async for each in self._gallery.bodies(request.image_id, context):
            yield pb.GetImageContentResponse(body=each)

    async def _begin_from_object(
        self, first: HttpBody, rest: AsyncIterator[HttpBody], context: Context
    ) -> ImageCall:
        repetition = Repetition.of(context)
        if not repetition.was_sent_before:
            self._admission.check_room()
        body = parse(EditObject, await whole(first, rest, self._max_json_bytes))
        return await self._begin(named_edit_order(body), repetition, family=EDIT)

    async def _begin_from_form(
        self,
        sent: AsyncIterator[HttpBody],
        context: Context,
        *,
        takes: Takes,
        read: Callable[[Form, PipelineContract], ImageOrder],
    ) -> ImageCall:
        repetition = Repetition.of(context)
        if not repetition.was_sent_before:
            self._admission.check_room()
        begun: list[ImageCall] = []
        try:
            async with received(sent, self._uploads, takes) as form:
                order = read(form, self._admission.contract)
                begun.append(await self._begin(order, repetition, family=EDIT))
        except asyncio.CancelledError:  # also while the uploads of the form are removed
            for call in begun:
                self._parts.tasks.abandon(call.tasks, repetition)
            raise
        return begun[0]

    async def _begin(self, order: ImageOrder, repetition: Repetition, *, family: str) -> ImageCall:
        requests = order.requests(self._admission.contract)
        with named_as_sent(order.sent_as):
            tasks = await self._parts.tasks.admit(requests, repetition)
        return ImageCall(
            order=order, family=family, repetition=repetition, tasks=tasks, parts=self._parts
        )


async def _bodies(requests: AsyncIterator[Any]) -> AsyncIterator[HttpBody]:
    async for each in requests:
        yield each.body
