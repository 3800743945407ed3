"""Small real media as bytes, and files that lie about what they are."""

import io
import struct
import wave
import zlib
from fractions import Fraction

import av
from PIL import Image


def still(format: str = "PNG", *, width: int = 8, height: int = 6) -> bytes:
    """Makes an image in a format of Pillow's: PNG, JPEG, WEBP or GIF."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 40, 40)).save(buffer, format)
    return buffer.getvalue()


def noise(*, width: int = 512, height: int = 512) -> bytes:
    """Makes a PNG that does not compress, for sizes that matter."""
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 90.0).save(buffer, "PNG")
    return buffer.getvalue()


def mp4(*, frames: int = 4, width: int = 32, height: int = 16, with_sound: bool = False) -> bytes:
    """Makes a video of 8 frames a second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        pictures = container.add_stream("libx264", rate=Fraction(8))
        pictures.width, pictures.height, pictures.pix_fmt = width, height, "yuv420p"
        sound = container.add_stream("aac", rate=8000, layout="mono") if with_sound else None
        for _ in range(frames):
            frame = av.VideoFrame.from_image(Image.new("RGB", (width, height), (40, 200, 40)))
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        if sound is not None:
            container.mux(sound.encode(_silence()))
            container.mux(sound.encode())
    return buffer.getvalue()


def wav(*, seconds: float = 0.25) -> bytes:
    """Makes silence in mono."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * int(8000 * seconds)))
    return buffer.getvalue()


def png_bomb(*, width: int = 60_000, height: int = 60_000) -> bytes:
    """Makes a PNG of a few hundred bytes whose header promises far more pixels than it has."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(4096))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [_png_chunk(b"IHDR", header), _png_chunk(b"IDAT", rows), _png_chunk(b"IEND", b"")]
    )


def truncated(content: bytes) -> bytes:
    """Returns the first two thirds of a file."""
    return content[: len(content) * 2 // 3]


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _silence() -> av.AudioFrame:
    frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
    frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    return frame
