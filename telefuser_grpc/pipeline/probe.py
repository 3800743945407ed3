"""Decodes a file and tells what is in it, or that it cannot be used."""

import io
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telefuser_grpc.domain.artifact import MediaFacts
from telefuser_grpc.pipeline.sniff import SNIFFED_BYTES, fault, sniff

_PILLOW_FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
}
# A demuxer is never guessed: a playlist in disguise would open files and addresses it names.
_DEMUXERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/webm": "matroska",
    "video/matroska": "matroska",
    "video/vnd.avi": "avi",
    "video/x-flv": "flv",
    "audio/mpeg": "mp3",
    "audio/vnd.wave": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
}
# Pillow reads piece by piece, under Python's lock: many tiny pieces would stop the server.
_MAX_READS = 250_000
_MAX_GIF_READS = 1_000_000  # its pieces have 255 bytes at most
_MAX_HEADER_BYTES = 16 * 2**20
_WHOLE_ENOUGH = 0.9  # edit lists may hide some of the frames that a header promises


class Undecodable(Exception):
    """A file cannot be used; the message ends a sentence that begins with the file's name."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLimits:
    """What a file may hold.

    Attributes:
        max_pixels: Of one frame, judged by the header before anything is decoded.
        decoded_pixels: How many pixels, or samples of sound, are decoded at most; the frames
            after them are only counted. None decodes all.
    """

    max_pixels: int = 64_000_000
    max_frames: int = 100_000
    max_bytes: int = 2**30
    decoded_pixels: int | None = 500_000_000


OUTPUT_LIMITS = ProbeLimits(
    max_pixels=256_000_000, max_frames=1_000_000, max_bytes=2**40, decoded_pixels=None
)


def probe(path: Path, *, limits: ProbeLimits = ProbeLimits()) -> MediaFacts:
    """Decodes an image, a clip or a sound and returns its facts.

    Raises:
        Undecodable: The file is absent, empty, damaged, too large or of an unknown format.
    """
    content_type = _content_type(path, limits)
    decode = _probe_image if content_type in _PILLOW_FORMATS else _probe_streams
    try:
        return decode(path, content_type, limits)
    except Undecodable:
        raise
    except Exception as error:  # decoders raise anything at all on hostile bytes
        raise Undecodable(f"is damaged: it cannot be decoded as {content_type}") from error


def _content_type(path: Path, limits: ProbeLimits) -> str:
    try:
        with path.open("rb") as file:
            head, size = file.read(SNIFFED_BYTES), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise Undecodable(f"cannot be read: {error.strerror}") from error
    if not head:
        raise Undecodable("is empty")
    if size > limits.max_bytes:
        raise Undecodable(f"has {size} bytes, at most {limits.max_bytes} allowed")
    content_type = sniff(head)
    if content_type is None:
        raise Undecodable(fault(head))
    return content_type


def _check_size(width: int, height: int, limits: ProbeLimits) -> None:
    if width < 1 or height < 1:
        raise Undecodable("has no pixels")
    if width * height > limits.max_pixels:
        raise Undecodable(
            f"is {width}x{height} pixels large, at most {limits.max_pixels} pixels allowed"
        )


def _check_frames(count: int, limits: ProbeLimits) -> None:
    if count > limits.max_frames:
        raise Undecodable(f"has more than {limits.max_frames} frames")


class _FrugalReader(io.BufferedReader):
    """A file that ends the work of a decoder which reads it in far too many pieces."""

    def __init__(self, path: Path, content_type: str) -> None:
        super().__init__(io.FileIO(path))
        self._reads_left = _MAX_GIF_READS if content_type == "image/gif" else _MAX_READS
        # WebP has no header of its own: it is read at once.
        self._header_left = math.inf if content_type == "image/webp" else _MAX_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self._reads_left -= 1
        self._header_left -= len(content)
        if self._reads_left < 0 or self._header_left < 0:
            raise Undecodable("has far more than a picture in it; save it again without metadata")
        return content

    def end_header(self) -> None:
        """Lets the pictures themselves have any size."""
        self._header_left = math.inf


def _probe_image(path: Path, content_type: str, limits: ProbeLimits) -> MediaFacts:
    with _FrugalReader(path, content_type) as file:
        image = _open_image(file, content_type, limits)
        image.verify()
    with _FrugalReader(path, content_type) as file:
        image = _open_image(file, content_type, limits)
        count = getattr(image, "n_frames", 1)
        _check_frames(count, limits)
        milliseconds = _load_frames(image, count, limits)
        return MediaFacts(
            content_type=content_type,
            width=image.width,
            height=image.height,
            frame_count=count,
            duration_seconds=milliseconds / 1000 if count > 1 else 0.0,
        )


def _open_image(file: _FrugalReader, content_type: str, limits: ProbeLimits) -> Any:
    from PIL import Image  # not at the start of the server

    try:
        image = Image.open(file, formats=[_PILLOW_FORMATS[content_type]])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Undecodable("has far too many pixels") from error
    _check_size(image.width, image.height, limits)
    file.end_header()
    return image


def _load_frames(image: Any, count: int, limits: ProbeLimits) -> float:
    """Decodes the frames of an image and returns how long they last, in milliseconds."""
    milliseconds = 0.0
    decoded_pixels = 0
    for index in range(count):
        image.seek(index)
        _check_size(image.width, image.height, limits)
        image.load()
        milliseconds += float(image.info.get("duration", 0))
        decoded_pixels += image.width * image.height
        if limits.decoded_pixels is not None and decoded_pixels > limits.decoded_pixels:
            return milliseconds / (index + 1) * count
    return milliseconds


def _probe_streams(path: Path, content_type: str, limits: ProbeLimits) -> MediaFacts:
    import av  # not at the start of the server

    with av.open(str(path), format=_DEMUXERS[content_type]) as container:
        videos = () if content_type in ("audio/mpeg", "audio/flac") else container.streams.video
        if videos:
            return _probe_video(container, videos[0], content_type, limits)
        if container.streams.audio:
            return _probe_audio(container, container.streams.audio[0], content_type, limits)
    raise Undecodable("has neither pictures nor sound")


def _probe_video(container: Any, stream: Any, content_type: str, limits: ProbeLimits) -> MediaFacts:
    _check_size(stream.width, stream.height, limits)
    stream.thread_type = "AUTO"
    count = _count_frames(container, stream, limits)
    if count == 0:
        raise Undecodable("has no frame that can be decoded")
    if count < stream.frames * _WHOLE_ENOUGH:
        raise Undecodable(f"is cut off: {count} of {stream.frames} frames are there")
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    return MediaFacts(
        content_type="video/ogg" if content_type == "audio/ogg" else content_type,
        width=stream.width,
        height=stream.height,
        frame_count=count,
        duration_seconds=_duration(container) or (count / rate if rate else 0.0),
        has_sound=bool(container.streams.audio),
    )


def _count_frames(container: Any, stream: Any, limits: ProbeLimits) -> int:
    budget = limits.decoded_pixels
    decoded_pixels = decoded = packets = 0
    for packet in container.demux(stream, *container.streams.audio):
        if packet.stream.index != stream.index:
            if budget is None:
                packet.decode()
            continue
        packets += packet.size > 0
        _check_frames(packets, limits)
        if budget is not None and decoded_pixels > budget:
            continue
        for frame in packet.decode():
            _check_size(frame.width, frame.height, limits)
            decoded_pixels += frame.width * frame.height
            decoded += 1
    is_whole = budget is None or decoded_pixels <= budget
    return decoded if is_whole or decoded == 0 else packets


def _probe_audio(container: Any, stream: Any, content_type: str, limits: ProbeLimits) -> MediaFacts:
    budget = limits.decoded_pixels
    samples = 0
    for frame in container.decode(stream):
        samples += frame.samples
        if budget is not None and samples > budget:
            break
    if samples == 0:
        raise Undecodable("has no sound that can be decoded")
    return MediaFacts(
        content_type=content_type.replace("video/", "audio/"),
        duration_seconds=_duration(container) or samples / stream.rate,
    )


def _duration(container: Any) -> float:
    return (container.duration or 0) / 1_000_000
