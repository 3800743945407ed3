"""The videos of the Image-to-Video API."""

import re
from collections.abc import Mapping

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.errors import ArtifactNotFound
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.server.file_guard import FilePlace
from telefuser_grpc.server.image_to_video.errors import generation_wording

FOLDER = "image_to_video"
"""Where tasks of this interface keep their video."""
NAME = re.compile(r"video_\d{8}_\d{6}(_\d+)?\.(mp4|gif)", re.ASCII)
PATHS = re.compile(r"/outputs/(?P<file>.*)", re.DOTALL)


def file_place(library: Library) -> FilePlace:
    """Returns where the videos are found."""

    async def find(file: str, query: Mapping[str, str]) -> Artifact:
        return await find_video(library, file)

    return FilePlace(pattern=PATHS, find=find, wording=generation_wording)


async def find_video(library: Library, file: str) -> Artifact:
    """Returns a video of the caller by its name. Raises ArtifactNotFound."""
    if not NAME.fullmatch(file):
        raise ArtifactNotFound(file)
    return await library.find(f"{FOLDER}/{file}")
