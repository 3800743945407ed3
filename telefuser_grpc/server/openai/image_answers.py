"""What callers of the OpenAI images read: results, and the events of a stream."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import Task
from telefuser_grpc.server.openai.file_facts import artifact_metadata
from telefuser_grpc.server.openai.image_bodies import ImageBody
from telefuser_grpc.server.openai.image_format import Encoded, format_of

USAGE = {
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
    "output_tokens_details": {"text_tokens": 0, "image_tokens": 0},
}
"""Diffusion pipelines count no tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeImage:
    """An image of a task, as a link or inside the answer."""

    task: Task
    url: str | None = None
    encoded: Encoded | None = None

    @property
    def artifact(self) -> Artifact:
        """The file."""
        return self.task.artifacts[0]

    @property
    def size(self) -> str:
        """The size that it really has."""
        facts = self.artifact.facts
        return f"{facts.width}x{facts.height}"

    @property
    def format(self) -> str:
        """The format in which it is delivered."""
        kept = format_of(self.artifact.facts.content_type)
        return self.encoded.format if self.encoded else kept

    @property
    def background(self) -> str:
        """What can be told of it: a file that was not looked at counts as opaque."""
        return "transparent" if self.encoded and self.encoded.is_transparent else "opaque"


def result_body(images: Sequence[MadeImage], body: ImageBody, prompt: str | None) -> dict[str, Any]:
    """Writes the answer of a call that does not stream."""
    first = images[0]
    seconds = [image.task.inference_seconds for image in images]
    memory = [image.task.peak_memory_mib for image in images]
    return {
        "created": _unix(images[-1].task),
        "data": [_item(image, prompt) for image in images],
        "background": first.background,
        "output_format": first.format,
        "quality": body.quality or "auto",
        "size": first.size,
        "usage": USAGE,
        "peak_memory_mb": max((each for each in memory if each is not None), default=None),
        "inference_time_s": sum(each for each in seconds if each is not None)
        if any(each is not None for each in seconds)
        else None,
    }


def partial_event(
    family: str, body: ImageBody, *, picture: Encoded, number: int, created_at: int
) -> dict[str, Any]:
    """Writes a preview of the image that is being made."""
    return {
        "type": f"{family}.partial_image",
        "b64_json": picture.base64,
        "partial_image_index": number,
        "created_at": created_at,
        "size": body.size or "auto",
        "quality": body.quality or "auto",
        "background": body.background or "auto",
        "output_format": picture.format,
    }


def completed_event(family: str, body: ImageBody, image: MadeImage) -> dict[str, Any]:
    """Writes an image that is made."""
    return {
        "type": f"{family}.completed",
        "b64_json": image.encoded.base64 if image.encoded else "",
        "created_at": _unix(image.task),
        "size": image.size,
        "quality": body.quality or "auto",
        "background": image.background,
        "output_format": image.format,
        "usage": USAGE,
        "peak_memory_mb": image.task.peak_memory_mib,
        "inference_time_s": image.task.inference_seconds,
    }


def frame(event: Mapping[str, Any]) -> bytes:
    """Writes a server-sent event."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {text}\n\n".encode()


def _item(image: MadeImage, prompt: str | None) -> dict[str, Any]:
    return {
        "url": image.url,
        "b64_json": image.encoded.base64 if image.encoded else None,
        "revised_prompt": prompt,
        "artifact_id": image.artifact.id,
        "artifact_metadata": artifact_metadata(image.artifact),
    }


def _unix(task: Task) -> int:
    return int((task.finished_at or task.created_at).timestamp())
