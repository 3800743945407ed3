"""Which formats a media field takes, and how their files are called."""

from collections.abc import Mapping

from telefuser_grpc.domain.artifact import MediaFacts
from telefuser_grpc.domain.kinds import IMAGE_FIELDS
from telefuser_grpc.errors import InputRejected

AUDIO_FIELD = "audio_path"
EXTENSIONS: Mapping[str, str] = {
    "image/jpeg": "jpg",
    "video/quicktime": "mov",
    "video/matroska": "mkv",
    "video/vnd.avi": "avi",
    "video/ogg": "ogv",
    "video/x-flv": "flv",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/vnd.wave": "wav",
    "audio/matroska": "mka",
}


def extension(content_type: str) -> str:
    """Returns the ending of a file's name, without the dot."""
    return EXTENSIONS.get(content_type) or content_type.rpartition("/")[2]


def check_format(field: str, facts: MediaFacts) -> None:
    """Refuses a file that its field does not take. Raises InputRejected."""
    family = facts.content_type.partition("/")[0]
    if field in IMAGE_FIELDS:
        if family != "image":
            raise _unfit(field, facts, "an image, such as PNG, JPEG or WebP")
    elif field != AUDIO_FIELD:
        if family != "video":
            raise _unfit(field, facts, "a video, such as MP4 or WebM")
    elif family == "image":
        raise _unfit(field, facts, "a sound, such as WAV, MP3 or FLAC, or a video with sound")
    elif family == "video" and not facts.has_sound:
        raise InputRejected(field, "is a video without sound; send one with sound, or the sound")


def _unfit(field: str, facts: MediaFacts, wanted: str) -> InputRejected:
    return InputRejected(field, f"is of type {facts.content_type}; send {wanted}")
