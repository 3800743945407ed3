"""Media of a session, between the forms that pipelines know and ours."""

import base64
import binascii
import io
import operator
from collections.abc import Iterator, Sequence
from typing import Any

from telefuser_grpc.domain.session import ClientMedia, ClientMessage, Picture, Sound
from telefuser_grpc.errors import OutputInvalid
from telefuser_grpc.pipeline.frames import rgb_frames

SAMPLE_BYTES = 2


def told_to_pipeline(message: ClientMessage) -> Iterator[Any]:
    """Yields what `push_chunk` is given for a message: media as dicts, all else as it is."""
    if not isinstance(message, ClientMedia):
        yield message
        return
    if message.pictures:
        frames = [_pixels(each) for each in message.pictures]
        yield {"type": "media", "video_frames": frames}
    if sound := message.sound:
        yield {
            "type": "media",
            "audio_pcm": sound.pcm,
            "sample_rate": sound.sample_rate,
            "channels": sound.channels,
        }


def pictures_of(frames: Any) -> tuple[Picture, ...]:
    """Returns PIL images, frames of PyAV or arrays as pictures. Raises OutputInvalid."""
    if len(frames) == 0:
        return ()
    try:
        return tuple(_picture(each) for each in rgb_frames(map(_plain, frames)))
    except OutputInvalid as error:
        raise OutputInvalid(f"frames: {error.message}") from error


def decoded_pictures(texts: Sequence[Any]) -> tuple[Picture, ...]:
    """Returns pictures that are base64 texts of JPEG or PNG files. Raises OutputInvalid."""
    return tuple(_decoded(text, f"frames_b64[{number}]") for number, text in enumerate(texts))


def decoded_sound(text: Any, *, sample_rate: Any, channels: Any) -> Sound:
    """Returns sound that is a base64 text of samples. Raises OutputInvalid."""
    pcm = _bytes(text, "audio_b64")
    rate = _positive(sample_rate, "audio_sample_rate")
    count = _positive(channels, "audio_channels")
    if len(pcm) % (SAMPLE_BYTES * count):
        raise OutputInvalid(
            f"audio_b64: {len(pcm)} bytes are no whole number of 16 bit samples of {count} "
            "channel(s)"
        )
    return Sound(pcm=pcm, sample_rate=rate, channels=count)


def _pixels(picture: Picture) -> Any:
    import numpy as np  # only sessions with media need it

    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3).copy()


def _plain(frame: Any) -> Any:
    """Returns the array of a frame of PyAV, and all else as it is."""
    return frame.to_ndarray(format="rgb24") if hasattr(frame, "to_ndarray") else frame


def _picture(pixels: Any) -> Picture:
    height, width, _ = pixels.shape
    return Picture(width=width, height=height, rgb=pixels.tobytes())


def _decoded(text: Any, key: str) -> Picture:
    from PIL import Image  # most pipelines give arrays

    content = _bytes(text, key)
    try:
        with Image.open(io.BytesIO(content)) as image:
            rgb = image.convert("RGB")
    except Exception as error:  # a decoder raises anything
        raise OutputInvalid(f"{key}: no picture that can be decoded; give JPEG or PNG") from error
    return Picture(width=rgb.width, height=rgb.height, rgb=rgb.tobytes())


def _bytes(text: Any, key: str) -> bytes:
    if isinstance(text, str):
        text = text.partition(";base64,")[2] or text  # it may be a data URL
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise OutputInvalid(f"{key}: no base64 text") from error


def _positive(value: Any, key: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number <= 0:
        raise OutputInvalid(f"{key}: must be a whole number greater than 0")
    return number
