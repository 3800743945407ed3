"""The files of a video: itself, its thumbnail and its spritesheet."""

import re
from collections.abc import Mapping

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import ArtifactNotFound, OutputInvalid, TaskNotFound
from telefuser_grpc.pipeline.film_stills import write_spritesheet, write_thumbnail
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.ports import Derivation
from telefuser_grpc.server.file_guard import FilePlace
from telefuser_grpc.server.openai.video_errors import UnknownVariant, VideoNotFound, VideoNotReady
from telefuser_grpc.server.openai.video_object import is_video, native_status
from telefuser_grpc.server.wording import Wording

PATHS = re.compile(r"/v1/videos/(?P<video_id>[^/]+)/content")
DERIVED: Mapping[str, Derivation] = {
    "thumbnail": Derivation("thumbnail.webp", "image/webp", write_thumbnail),
    "spritesheet": Derivation("spritesheet.jpg", "image/jpeg", write_spritesheet),
}


class VideoFiles:
    """Finds videos of the caller, and their files."""

    def __init__(self, *, tasks: Desk, library: Library) -> None:
        self._tasks = tasks
        self._library = library

    async def task(self, video_id: str) -> Task:
        """Returns the task that makes a video. Raises VideoNotFound."""
        try:
            task = await self._tasks.get(video_id)
        except TaskNotFound:
            raise VideoNotFound(video_id) from None
        if not is_video(task):
            raise VideoNotFound(video_id)
        return task

    async def video(self, video_id: str) -> tuple[Task, Artifact]:
        """Returns a video that was made. Raises VideoNotFound, VideoNotReady, ArtifactNotFound."""
        task = await self.task(video_id)
        if task.state is not TaskState.COMPLETED:
            raise VideoNotReady(video_id, native_status(task))
        if not task.artifacts:
            raise ArtifactNotFound(video_id)
        return task, task.artifacts[0]

    async def variant(self, video_id: str, variant: str) -> Artifact:
        """Returns a file of a video.

        Raises:
            VideoNotFound, UnknownVariant, VideoNotReady, ArtifactNotFound
        """
        await self.task(video_id)
        if variant not in ("", "video", *DERIVED):
            raise UnknownVariant(variant)
        _, video = await self.video(video_id)
        if variant not in DERIVED:
            return video
        try:
            return await self._library.derived(video, DERIVED[variant])
        except OutputInvalid:  # a pipeline of its own ways has stored what is no video
            raise ArtifactNotFound(video.id) from None

    async def path(self, video: Artifact) -> str:
        """Returns the absolute path of a video's file. Raises ArtifactNotFound."""
        return await self._library.open_path(video)

    def place(self, wording: Wording) -> FilePlace:
        """Returns where the gateway finds the files."""

        async def find(video_id: str, query: Mapping[str, str]) -> Artifact:
            return await self.variant(video_id, query.get("variant", ""))

        return FilePlace(pattern=PATHS, find=find, wording=wording)
