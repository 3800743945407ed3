"""Pictures and sound of sessions, between the native wire types and what pipelines handle."""

import asyncio
import io
from collections.abc import Callable, Sequence

from telefuser_grpc._gen.telefuser.v1 import session_service_pb2 as pb
from telefuser_grpc.domain.session import ClientMedia, Picture, Sound
from telefuser_grpc.errors import InvalidFields, Violation

QUALITY = 90
FAST = 1
"""How hard a PNG is packed: it is made while somebody waits for it."""
MAX_PICTURES = 64
MAX_PIXELS = 4096 * 4096
MAX_PIXELS_TOGETHER = 4 * MAX_PIXELS
MAX_SAMPLE_RATE = 192_000
NAMES = {
    pb.PICTURE_FORMAT_UNSPECIFIED: "JPEG",
    pb.PICTURE_FORMAT_JPEG: "JPEG",
    pb.PICTURE_FORMAT_PNG: "PNG",
    pb.PICTURE_FORMAT_RGB: "RGB",
}


def format_name(value: int, *, field: str) -> str:
    """Returns JPEG, PNG or RGB. Raises InvalidFields."""
    name = NAMES.get(value)  # type: ignore[call-overload] # a newer client may know more
    if name is None:
        raise _invalid(field, "names a format that does not exist; use JPEG, PNG or RGB")
    return str(name)


async def encoded(
    pictures: Sequence[Picture], fps: float | None, *, name: str
) -> pb.SessionPictures | None:
    """Writes pictures in a format, off the event loop; nothing where there are none."""
    if not pictures:
        return None
    return await asyncio.to_thread(_encoded, pictures, fps or 0.0, name)


async def decoded(message: pb.SessionPictures) -> ClientMedia:
    """Reads a client's pictures, off the event loop. Raises InvalidFields."""
    if not 1 <= len(message.pictures) <= MAX_PICTURES:
        raise _invalid("pictures.pictures", f"must be 1 to {MAX_PICTURES} in a message")
    return await asyncio.to_thread(_decoded, message)


def sound_of(message: pb.SessionSound) -> ClientMedia:
    """Reads a client's sound. Raises InvalidFields."""
    if message.channels not in (1, 2):
        raise _invalid("sound.channels", "must be 1 or 2")
    if not 0 < message.sample_rate <= MAX_SAMPLE_RATE:
        raise _invalid("sound.sample_rate", f"must be 1 to {MAX_SAMPLE_RATE}")
    if len(message.pcm) % (2 * message.channels):
        raise _invalid("sound.pcm", "must be whole samples of 16 bits for each channel")
    sound = Sound(pcm=message.pcm, sample_rate=message.sample_rate, channels=message.channels)
    return ClientMedia(sound=sound)


def sound_message(sound: Sound | None) -> pb.SessionSound | None:
    """Writes sound."""
    if sound is None:
        return None
    return pb.SessionSound(pcm=sound.pcm, sample_rate=sound.sample_rate, channels=sound.channels)


def _encoded(pictures: Sequence[Picture], fps: float, name: str) -> pb.SessionPictures:
    write = _raw if name == "RGB" else _packed
    return pb.SessionPictures(
        pictures=[
            pb.SessionPicture(
                width=each.width,
                height=each.height,
                content=write(each, name),
                format=f"PICTURE_FORMAT_{name}",
            )
            for each in pictures
        ],
        fps=fps,
    )


def _raw(picture: Picture, name: str) -> bytes:
    return picture.rgb


def _packed(picture: Picture, name: str) -> bytes:
    from PIL import Image  # not at the start of the server

    image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
    content = io.BytesIO()
    image.save(content, name, quality=QUALITY, compress_level=FAST)
    return content.getvalue()


def _decoded(message: pb.SessionPictures) -> ClientMedia:
    pictures, room = [], MAX_PIXELS_TOGETHER
    for place, each in enumerate(message.pictures):
        field = f"pictures.pictures[{place}]"
        name = format_name(each.format, field=f"{field}.format")
        read = _from_rgb if name == "RGB" else _from_file
        picture = read(each, min(room, MAX_PIXELS), name, f"{field}.content")
        room -= picture.width * picture.height
        pictures.append(picture)
    return ClientMedia(pictures=tuple(pictures))


Read = Callable[[pb.SessionPicture, int, str, str], Picture]


def _from_rgb(message: pb.SessionPicture, room: int, name: str, field: str) -> Picture:
    pixels = message.width * message.height
    if not pixels or len(message.content) != 3 * pixels:
        raise _invalid(field, "must have 3 bytes for each of width * height pixels")
    _check_room(pixels, room, field)
    return Picture(width=message.width, height=message.height, rgb=message.content)


def _from_file(message: pb.SessionPicture, room: int, name: str, field: str) -> Picture:
    from PIL import Image  # not at the start of the server

    try:
        with Image.open(io.BytesIO(message.content), formats=[name]) as image:
            _check_room(image.width * image.height, room, field)
            rgb = image.convert("RGB")
    except InvalidFields:
        raise
    except Exception:  # decoders raise anything at all on hostile bytes
        raise _invalid(field, f"is no {name} that decodes") from None
    return Picture(width=rgb.width, height=rgb.height, rgb=rgb.tobytes())


def _check_room(pixels: int, room: int, field: str) -> None:
    if pixels > room:
        why = (
            f"has too many pixels: a picture may have {MAX_PIXELS}, "
            f"those of a message {MAX_PIXELS_TOGETHER} together"
        )
        raise _invalid(field, why)


def _invalid(field: str, why: str) -> InvalidFields:
    return InvalidFields([Violation(field, why, "invalid_media")])
