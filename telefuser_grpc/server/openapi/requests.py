"""The bodies that create tasks, completed by what their model does not say."""

from typing import Any

from telefuser_grpc.domain.kinds import KIND_PATTERN
from telefuser_grpc.domain.output import TASK_ID_PATTERN
from telefuser_grpc.server.openapi.schemas import components
from telefuser_grpc.server.rest.tasks import CreateTaskBody

MEDIA = (
    "An `http(s)` address, a `data:` URL, base64, or a path below one of the server's media roots. "
    "Empty for none."
)
FIELDS: dict[str, dict[str, Any]] = {
    "task": {
        "description": "The kind of task, such as `t2v` (text to video) or `i2v` (image to video): "
        "one of the pipeline's `supported_tasks`. Without it the kind is inferred from the inputs, "
        "and is `t2v` where there are none. "
        f"Case and spaces around do not matter; then it must match `{KIND_PATTERN.pattern}`.",
        "examples": ["t2v"],
    },
    "prompt": {"description": "What to show, in words.", "examples": ["a red ball on grass"]},
    "negative_prompt": {"description": "What not to show, in words.", "examples": ["blur"]},
    "aspect_ratio": {"description": "Width to height.", "examples": ["16:9"]},
    "resolution": {
        "description": "Of a video `480p`, `720p` or `1080p`; of an image also `<width>x<height>`.",
        "examples": ["720p"],
    },
    "seed": {"description": "Makes the result repeatable.", "examples": [42]},
    "first_image_path": {"description": f"The first or only image. {MEDIA}", "examples": [""]},
    "last_image_path": {"description": f"The last image. {MEDIA}", "examples": [""]},
    "ref_video_path": {"description": f"The reference video. {MEDIA}", "examples": [""]},
    "audio_path": {"description": f"The sound. {MEDIA}", "examples": [""]},
    "target_video_length": {"description": "The video's length in seconds.", "examples": [5]},
    "output_format": {"description": "The format of an image.", "examples": ["png"]},
    "output_path": {
        "description": "The name that the file shall have: relative, with an extension that fits. "
        "Without it the task's id and the usual extension.",
        "examples": ["films/ball.mp4"],
    },
    "task_id": {
        "description": "The id that the task shall have. Without it the server chooses one. "
        f"Matches `{TASK_ID_PATTERN.pattern}`.",
        "examples": ["ball-1"],
    },
}
FILES = {
    "first_image_file": "The first or only image; a video is taken as the reference video.",
    "last_image_file": "The last image.",
    "ref_video_file": "The reference video.",
    "pose_video_file": "A clip of the poses to take.",
    "face_video_file": "A clip of the face to make.",
    "mask_video_file": "A clip that is white where something is put.",
    "audio_file": "The sound.",
}
FILE_TYPES = {
    "first_image_file": "image/*, video/*",
    "last_image_file": "image/*",
    "ref_video_file": "video/*",
    "pose_video_file": "video/*",
    "face_video_file": "video/*",
    "mask_video_file": "video/*",
    "audio_file": "audio/*",
}
OTHERS = "Any other field reaches the pipeline as it is."


def request_schemas() -> dict[str, Any]:
    """Returns the schemas of the bodies, by name."""
    schemas = components([CreateTaskBody])
    body = schemas["CreateTaskBody"]
    for name, field in body["properties"].items():
        if name in FIELDS:
            field.update(FIELDS[name])
    body["description"] = f"What to make. {OTHERS}"
    return schemas | {"CreateTaskForm": _form(body)}


def _form(body: dict[str, Any]) -> dict[str, Any]:
    files = {
        name: {"type": "string", "format": "binary", "description": description}
        for name, description in FILES.items()
    }
    return body | {
        "description": "What to make, with its files. Empty fields are taken as not given, and a "
        f"field that comes several times as a list. {OTHERS}",
        "properties": {**body["properties"], **files},
    }
