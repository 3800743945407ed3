"""What only callers of the OpenAI videos are told."""

from telefuser_grpc.errors import InvalidRequest, NotFound
from telefuser_grpc.server.rest.bodies import Malformed, detail


class VideoNotFound(NotFound):
    """There is no such video: no task, none of the caller's, or one that makes something else."""

    reason = "NOT_FOUND"

    def __init__(self, video_id: str) -> None:
        super().__init__(f"Video {video_id} not found", metadata={"video_id": video_id})


class CharacterNotFound(NotFound):
    """There is no such character, as there are none."""

    reason = "NOT_FOUND"

    def __init__(self, character_id: str) -> None:
        super().__init__(f"Character {character_id} not found")


class VideoNotReady(InvalidRequest):
    """A video has no file, or none yet."""

    reason = "VIDEO_NOT_READY"

    def __init__(self, video_id: str, status: str) -> None:
        super().__init__(f"Video {video_id} is not ready (status: {status})")


class Unsupported(InvalidRequest):
    """The pipeline cannot make what the path is for."""

    reason = "UNSUPPORTED"


class InvalidCursor(Malformed):
    """A listing cannot begin behind what is no video of the caller."""

    reason = "INVALID_CURSOR"
    http_status = 400

    def __init__(self, after: str) -> None:
        why = f"{after!r} is no video; give the last_id of a page, or leave it out"
        super().__init__([detail(["query", "after"], why, "invalid_cursor")])


class UnknownVariant(Malformed):
    """A video has no such form."""

    http_status = 400

    def __init__(self, variant: str) -> None:
        why = f"{variant!r} is none of video, thumbnail and spritesheet"
        super().__init__([detail(["query", "variant"], why, "enum")])
