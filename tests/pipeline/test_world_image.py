"""The picture that a walk begins with is taken from a data URL, or from an opened folder."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from telefuser_grpc.pipeline import world_image
from telefuser_grpc.pipeline.world_image import MAX_BYTES, read_intrinsics, read_picture


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def url(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


RED = Image.new("RGB", (6, 4), "red")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_data_url_is_read(kind: str) -> None:
    image = read_picture({"image": url(encoded(RED, kind))}, roots=())

    assert image is not None
    assert (image.size, image.mode) == ((6, 4), "RGB")


def test_picture_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side

    image = read_picture({"image": url(encoded(RED, "JPEG", exif=exif))}, roots=())

    assert image is not None
    assert image.size == (4, 6)


@pytest.mark.parametrize("fields", [{}, {"image": None}, {"image": ""}, {"image_path": ""}])
def test_no_picture_is_none(fields: dict[str, Any]) -> None:
    assert read_picture(fields, roots=()) is None


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (url(b"0" * (MAX_BYTES + 1)), "Browser image exceeds the 10 MiB size limit"),
        (url(b"0" * (2 * MAX_BYTES)), "Browser image exceeds the 10 MiB size limit"),
        ("data:image/png;base64,not base64!", "Browser image has invalid base64 data"),
        ("data:image/png;base64,ä", "Browser image has invalid base64 data"),
        ("data:image/png,plain", "Browser image has invalid base64 data"),
        (url(b"no picture"), "Browser image has an unsupported or invalid format"),
        (url(encoded(RED)[:40]), "Browser image has an unsupported or invalid format"),
        (url(encoded(RED, "BMP")), "Browser image has an unsupported or invalid format"),
        (5, "image must be a data URL or a path"),
    ],
)
def test_bad_picture_is_refused(image: Any, told: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are below
        read_picture({"image": image}, roots=())

    assert str(refused.value) == told


def test_picture_of_too_many_pixels_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_image, "MAX_PIXELS", 23)

    with pytest.raises(ValueError, match="unsupported or invalid format"):
        read_picture({"image": url(encoded(RED))}, roots=())


@pytest.mark.parametrize("field", ["image", "image_path"])
def test_path_below_an_opened_folder_is_read(field: str, tmp_path: Path) -> None:
    RED.save(tmp_path / "a.png")

    image = read_picture({field: str(tmp_path / "a.png")}, roots=(tmp_path,))

    assert image is not None
    assert image.size == (6, 4)


def test_other_paths_are_all_refused_alike(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    opened.mkdir()
    RED.save(tmp_path / "secret.png")
    (opened / "link.png").symlink_to(tmp_path / "secret.png")
    there = [tmp_path / "secret.png", opened / "link.png", opened / "../secret.png", opened]

    told = set()
    for path in [*there, opened / "none.png", "nul\0"]:
        with pytest.raises(ValueError, match="TELEFUSER_ALLOWED_MEDIA_ROOTS") as refused:
            read_picture({"image_path": str(path)}, roots=(opened,))
        told.add(str(refused.value))

    assert len(told) == 1


@pytest.mark.parametrize(
    ("numbers", "camera"),
    [
        (np.ones(4), [1, 1, 1, 1]),
        (np.ones((5, 4)), [1, 1, 1, 1]),
        (np.eye(3), np.eye(3).tolist()),
        (np.stack([np.eye(3)] * 2), np.eye(3).tolist()),
    ],
)
def test_first_camera_of_a_file_is_read(numbers: Any, camera: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", numbers)

    assert read_intrinsics(str(tmp_path / "c.npy"), roots=(tmp_path,)) == camera


@pytest.mark.parametrize("content", [b"", b"no numbers", np.lib.format.MAGIC_PREFIX])
def test_file_without_a_camera_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.npy").write_bytes(content)

    with pytest.raises(ValueError, match=r"intrinsics_path names no .npy file"):
        read_intrinsics(str(tmp_path / "c.npy"), roots=(tmp_path,))
