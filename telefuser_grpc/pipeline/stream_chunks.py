"""Brings what a stream pipeline yields into one form, or says which key of it is wrong."""

import math
import operator
from collections.abc import Mapping
from typing import Any

from telefuser_grpc.domain.session import Chunk, Picture, Sound
from telefuser_grpc.errors import OutputInvalid
from telefuser_grpc.pipeline.stream_media import decoded_pictures, decoded_sound, pictures_of

MEDIA = ("frames", "frames_b64", "audio_b64")
MEDIA_KEYS = (*MEDIA, "audio_sample_rate", "audio_channels")
LARGEST_NUMBER = 2**63 - 1
DEEPEST = 24  # a native answer of this depth is still one that protobuf parses


def to_chunk(raw: Any, *, number: int) -> Chunk:
    """Returns what a pipeline has yielded; `number` is that of a chunk which names none.

    Raises:
        OutputInvalid: A key is missing or wrong; the message names it.
    """
    if not isinstance(raw, Mapping):
        raise OutputInvalid(f"A chunk must be a dict with a type, not {type(raw).__name__}")
    fields = _flat(raw)
    if not isinstance(fields.get("type"), str):
        raise OutputInvalid('type: a chunk must say it, such as "chunk" or "status"')
    return Chunk(
        index=_index(fields.get("index"), number),
        fps=_fps(fields.get("fps")),
        pictures=_pictures(fields),
        sound=_sound(fields),
        data={
            _text(name): _as_json(value, 0)
            for name, value in fields.items()
            if name not in MEDIA_KEYS
        },
    )


def _flat(raw: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Returns the fields of a chunk, which may have its media under `data`."""
    inner = raw.get("data")
    if not isinstance(inner, Mapping) or _has_media(raw) or not _has_media(inner):
        return raw
    return {**{name: value for name, value in raw.items() if name != "data"}, **inner}


def _has_media(fields: Mapping[Any, Any]) -> bool:
    return any(fields.get(name) is not None for name in MEDIA)


def _index(index: Any, number: int) -> int:
    if index is None:
        return number
    try:
        told = operator.index(index)
    except TypeError:
        told = LARGEST_NUMBER + 1
    if abs(told) > LARGEST_NUMBER:
        raise OutputInvalid("index: must be a whole number")
    return told


def _fps(fps: Any) -> float | None:
    if fps is None:
        return None
    try:
        told = float(fps)
    except (TypeError, ValueError, OverflowError):
        told = math.nan
    if not (told > 0 and math.isfinite(told)):
        raise OutputInvalid("fps: must be a number greater than 0")
    return told


def _pictures(fields: Mapping[Any, Any]) -> tuple[Picture, ...]:
    frames, texts = fields.get("frames"), fields.get("frames_b64")
    if frames is not None and not _is_list(frames):
        raise OutputInvalid("frames: must be a list of PIL images, frames of PyAV or arrays")
    if frames is not None and len(frames):
        return pictures_of(frames)
    if texts is not None and not isinstance(texts, list | tuple):
        raise OutputInvalid("frames_b64: must be a list of base64 texts")
    return decoded_pictures(texts or ())


def _sound(fields: Mapping[Any, Any]) -> Sound | None:
    if not (text := fields.get("audio_b64")):
        return None
    rate, channels = fields.get("audio_sample_rate"), fields.get("audio_channels")
    return decoded_sound(
        text,
        sample_rate=48_000 if rate is None else rate,
        channels=1 if channels is None else channels,
    )


def _is_list(frames: Any) -> bool:
    """Tells a list, or an array of pictures, from a single picture."""
    return isinstance(frames, list | tuple) or getattr(frames, "ndim", 0) == 4


def _as_json(value: Any, depth: int) -> Any:
    """Returns a value as JSON has it: numbers of numpy as numbers, what it cannot say as text."""
    if depth > DEEPEST:
        raise OutputInvalid(f"A chunk is nested more than {DEEPEST} deep")
    match value:
        case None | bool():
            return value
        case str():
            return _text(value)
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else str(value)
        case Mapping():
            return {_text(name): _as_json(each, depth + 1) for name, each in value.items()}
        case list() | tuple():
            return [_as_json(each, depth + 1) for each in value]
    return _as_json(_plain(value), depth + 1)


def _plain(value: Any) -> Any:
    """Returns a number of numpy as one of Python, and all else as text."""
    if getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return _text(value)
    plain = value.item()
    return _text(plain) if isinstance(plain, type(value)) else plain


def _text(value: Any) -> str:
    return str(value).encode(errors="replace").decode()
