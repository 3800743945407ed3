"""Takes no new files while there is no room for them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from telefuser_grpc.domain.sizes import InputLimits
from telefuser_grpc.domain.task import Task
from telefuser_grpc.scheduler.janitor import Janitor
from telefuser_grpc.scheduler.ports import MediaInputs, Uploads, UploadSink


class GuardedInputs:
    """`MediaInputs` that ask the janitor first: every new task comes here before it writes."""

    def __init__(self, inputs: MediaInputs, janitor: Janitor) -> None:
        self._inputs = inputs
        self._janitor = janitor

    async def take(
        self, task_id: str, fields: Mapping[str, Any], *, limits: Mapping[str, InputLimits]
    ) -> dict[str, str]:
        await self._janitor.make_way(task_id)
        return await self._inputs.take(task_id, fields, limits=limits)

    async def share(self, task_id: str, other: Task) -> dict[str, str]:
        await self._janitor.make_way(task_id)
        return await self._inputs.share(task_id, other)

    async def drop(self, task_id: str) -> None:
        await self._inputs.drop(task_id)


class GuardedUploads:
    """`Uploads` that ask the janitor first: every file that a caller sends comes here."""

    def __init__(self, uploads: Uploads, janitor: Janitor) -> None:
        self._uploads = uploads
        self._janitor = janitor

    @asynccontextmanager
    async def receive(
        self, *, field: str = "file", size_bytes: int = 0, sha256: str = ""
    ) -> AsyncIterator[UploadSink]:
        await self._janitor.make_room()
        async with self._uploads.receive(field=field, size_bytes=size_bytes, sha256=sha256) as sink:
            yield sink

    async def discard(self, upload_id: str) -> None:
        await self._uploads.discard(upload_id)
