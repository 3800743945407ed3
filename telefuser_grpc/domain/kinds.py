"""The kinds of task that the field knows, what they make and what media they read."""

import re
from collections.abc import Mapping
from enum import StrEnum

KIND_PATTERN = re.compile(r"[a-z][a-z0-9_]{1,31}")


class MediaType(StrEnum):
    """What a task makes. `none` is for tasks that make no file."""

    VIDEO = "video"
    IMAGE = "image"
    NONE = "none"


MORE_IMAGE_FIELDS = tuple(f"image_{number}" for number in range(2, 17))  # beside the first
IMAGE_FIELDS = ("first_image_path", "last_image_path", "mask", *MORE_IMAGE_FIELDS)
VIDEO_FIELDS = ("ref_video_path", "pose_video_path", "face_video_path", "mask_video_path")
INPUT_FIELDS = (*IMAGE_FIELDS, *VIDEO_FIELDS, "audio_path")

DEFAULT_INPUTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "t2v": ((), ()),
    "i2v": (("first_image_path",), ("last_image_path",)),
    "fl2v": (("first_image_path", "last_image_path"), ()),
    "vc": (("ref_video_path",), ()),
    "vsr": (("ref_video_path",), ()),
    "s2v": ((), ()),
    "t2i": ((), ()),
    "i2i": (("first_image_path",), ()),
    "edit": ((), ()),
}
IMAGE_KINDS = frozenset({"t2i", "i2i", "edit"})


def default_media_type(kind: str) -> MediaType:
    """Returns what a kind makes unless its contract says otherwise."""
    return MediaType.IMAGE if kind in IMAGE_KINDS else MediaType.VIDEO
