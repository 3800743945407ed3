"""Pictures out of finished videos."""

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from telefuser_grpc.errors import OutputInvalid
from telefuser_grpc.pipeline.film_stills import (
    first_frame,
    last_frame,
    write_spritesheet,
    write_thumbnail,
)

COLOURS = ["red", "lime", "blue", "white"]


def film(path: Path, *, frames: int = 4, width: int = 64, height: int = 32) -> str:
    """Writes a video whose frames go through the colours, evenly."""
    codec = "libx264" if path.suffix == ".mp4" else "libvpx-vp9"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(8))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for place in range(frames):
            picture = Image.new("RGB", (width, height), COLOURS[place * len(COLOURS) // frames])
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    return str(path)


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def colour(image: Image.Image, x: int, y: int) -> str:
    """Returns the nearest of the colours."""
    red, green, blue = (value > 127 for value in image.convert("RGB").getpixel((x, y)))
    names = {(1, 0, 0): "red", (0, 1, 0): "lime", (0, 0, 1): "blue", (1, 1, 1): "white"}
    return names.get((red, green, blue), "other")


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_thumbnail_is_the_first_frame(tmp_path: Path, name: str) -> None:
    write_thumbnail(film(tmp_path / name), str(tmp_path / "t.part"))

    image = opened(tmp_path / "t.part")
    assert (image.format, image.size, colour(image, 32, 16)) == ("WEBP", (64, 32), "red")


def test_first_and_last_frame_are_pictures(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")

    first, last = (Image.open(io.BytesIO(each(path))) for each in (first_frame, last_frame))

    assert (colour(first, 32, 16), colour(last, 32, 16)) == ("red", "white")
    assert first.format == last.format == "PNG"


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_spritesheet_has_frames_in_their_order_row_by_row(tmp_path: Path, name: str) -> None:
    write_spritesheet(film(tmp_path / name, frames=64), str(tmp_path / "s.part"))

    image = opened(tmp_path / "s.part")
    assert (image.format, image.size) == ("JPEG", (4 * 64, 4 * 32))
    assert [colour(image, 128, row * 32 + 16) for row in range(4)] == COLOURS


def test_spritesheet_of_a_large_video_has_small_tiles(tmp_path: Path) -> None:
    write_spritesheet(
        film(tmp_path / "a.mp4", frames=2, width=1280, height=720), str(tmp_path / "s")
    )

    assert opened(tmp_path / "s").size == (2 * 320, 180)


@pytest.mark.parametrize("content", [b"", b"frames", b"\0\0\0\x20ftypisom" + bytes(64)])
def test_what_is_no_video_is_told_as_invalid(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)

    for take in (first_frame, last_frame):
        with pytest.raises(OutputInvalid):
            take(str(path))
    for write in (write_thumbnail, write_spritesheet):
        with pytest.raises(OutputInvalid):
            write(str(path), str(tmp_path / "t"))
