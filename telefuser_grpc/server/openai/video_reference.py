"""What a reference to media is taken for, by what can be seen of it before it is read."""

from pathlib import PurePosixPath
from urllib.parse import urlsplit

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm"})
DATA = "data:"


def media_field(reference: str) -> str:
    """Returns the field of a task that takes what an address, a data URL or a path stands for."""
    return "ref_video_path" if _is_video(reference) else "first_image_path"


def field_of(content_type: str) -> str:
    """Returns the field of a task that takes a file of a type."""
    return "ref_video_path" if content_type.startswith("video/") else "first_image_path"


def _is_video(reference: str) -> bool:
    if reference[: len(DATA)].lower() == DATA:
        return reference[len(DATA) :].lower().startswith("video/")
    try:
        path = urlsplit(reference[:8192]).path
    except ValueError:  # a host in brackets that is no address; whoever fetches it will say so
        return False
    return PurePosixPath(path.lower()).suffix in VIDEO_SUFFIXES
