"""Pictures, clips and sound are read as people see and hear them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from telefuser_grpc.pipeline.media import read_frames, read_image


def test_picture_is_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the left
    Image.new("RGB", (40, 20)).save(path, exif=exif)

    assert read_image(path).size == (20, 40)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_clear_parts_are_white(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "clear.png"
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    if mode == "P":
        picture.convert("P").save(path, transparency=picture.convert("P").getpixel((0, 0)))
    else:
        picture.convert(mode).save(path)

    image = read_image(path)

    assert (image.mode, image.getpixel((0, 0))) == ("RGB", (255, 255, 255))


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_picture_of_any_colours_is_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.jpg"
    Image.new("RGB", (4, 4), "grey").convert(mode).save(path)

    image = read_image(path)

    assert image.mode == "RGB"
    assert abs(image.getpixel((0, 0))[0] - 128) < 16


def test_deep_picture_keeps_its_greys(tmp_path: Path) -> None:
    path = tmp_path / "depth.png"
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(path)

    assert read_image(path).getpixel((0, 0)) == (128, 128, 128)


def test_small_picture_is_enlarged_in_its_shape(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    Image.new("RGB", (40, 20)).save(path)

    assert read_image(path, at_least=64).size == (128, 64)
    assert read_image(path, at_least=20).size == (40, 20)


def write_clip(path: Path, *, greys: list[int], fps: int = 10, late: int = 0) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=fps)
        stream.width = stream.height = 16
        stream.pix_fmt = "gray"
        for number, grey in enumerate(greys):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16), grey, np.uint8), format="gray")
            frame.pts, frame.time_base = number + late, Fraction(1, fps)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def greys(frames: list[Image.Image]) -> list[int]:
    return [frame.convert("L").getpixel((8, 8)) for frame in frames]  # type: ignore[misc]  # of a grey


def test_all_frames_of_a_clip_are_read(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", greys=[10, 20, 30])

    assert greys(read_frames(clip, limit=9)) == [10, 20, 30]


def test_no_more_frames_are_read_than_asked(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", greys=[10, 20, 30])

    assert greys(read_frames(clip, limit=2)) == [10, 20]


def test_slower_rate_leaves_frames_out(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", greys=[10, 20, 30, 40, 50, 60])

    assert greys(read_frames(clip, limit=9, fps=5)) == [10, 30, 50]


def test_faster_rate_repeats_frames(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", greys=[10, 20, 30])

    assert greys(read_frames(clip, limit=5, fps=20)) == [10, 10, 20, 20, 30]


def test_clip_that_begins_late_is_read_from_its_first_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", greys=[10, 20, 30], late=50)

    assert greys(read_frames(clip, limit=9, fps=10)) == [10, 20, 30]
