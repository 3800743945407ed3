"""Finds images by the tasks that have made them."""

import re
from collections.abc import AsyncIterator, Mapping

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import TaskNotFound
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.server.file_guard import FilePlace
from telefuser_grpc.server.file_stream import file_bodies
from telefuser_grpc.server.openai.image_errors import ImageNotFound, ImageNotReady
from telefuser_grpc.server.rpc import Context
from telefuser_grpc.server.wording import Wording

PATHS = re.compile(r"/v1/images/(?P<image_id>[^/]+)/content")


class Gallery:
    """The images of the caller's tasks."""

    def __init__(self, *, tasks: Desk, library: Library) -> None:
        self._tasks = tasks
        self._library = library

    async def find(self, image_id: str) -> Artifact:
        """Returns the file of an image. Raises ImageNotFound, ImageNotReady."""
        try:
            task = await self._tasks.get(image_id)
        except TaskNotFound:
            raise ImageNotFound(image_id) from None
        if task.media_type != MediaType.IMAGE:
            raise ImageNotFound(image_id)
        if not task.artifacts:
            is_stopping = task.state is TaskState.CANCELLING
            raise ImageNotReady(image_id, "processing" if is_stopping else str(task.state))
        return task.artifacts[0]

    async def path(self, artifact: Artifact) -> str:
        """Returns where the file of an image lies. Raises ArtifactNotFound."""
        return await self._library.open_path(artifact)

    async def bodies(self, image_id: str, context: Context) -> AsyncIterator[HttpBody]:
        """Yields the file of an image, as the headers of the call ask."""
        async for body in file_bodies(await self.find(image_id), self._library, context):
            yield body

    def place(self, wording: Wording) -> FilePlace:
        """Returns where the gateway finds images."""

        async def find(image_id: str, query: Mapping[str, str]) -> Artifact:
            return await self.find(image_id)

        return FilePlace(pattern=PATHS, find=find, wording=wording)
