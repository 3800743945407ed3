"""The videos of the Wan2.1 image-to-video API: who knows a name may read the file."""

import re
from collections.abc import Mapping

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import ArtifactNotFound
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.server.file_guard import FilePlace
from telefuser_grpc.server.wan.errors import wan_wording

FOLDER = "wan21"
"""Where tasks of this interface keep their video, and what tells them from others."""
NAME = re.compile(r"[0-9a-f]{32}\.mp4")
PATHS = re.compile(r"/videos/(?P<file>.*)", re.DOTALL)


def is_ours(task: Task) -> bool:
    """Tells whether a task was submitted through this interface."""
    return task.output_name.startswith(f"{FOLDER}/")


def video_address(task: Task) -> str:
    """Returns the path of the task's video."""
    return f"/videos/{task.output_name.removeprefix(f'{FOLDER}/')}"


def file_place(library: Library) -> FilePlace:
    """Returns where the videos are found."""

    async def find(file: str, query: Mapping[str, str]) -> Artifact:
        return await find_video(library, file)

    return FilePlace(pattern=PATHS, find=find, wording=wan_wording)


async def find_video(library: Library, file: str) -> Artifact:
    """Returns a video by its name. Raises ArtifactNotFound."""
    if not NAME.fullmatch(file):
        raise ArtifactNotFound(file)
    return await library.find(f"{FOLDER}/{file}")
