"""A result has the size that was asked, as near as its model can make it."""

from typing import Any

import pytest
from PIL import Image

from telefuser_grpc.errors import InvalidFields
from telefuser_grpc.pipeline.sizes import fitted, frame_count, shaped_like, size_of, tabled_size

TABLE = {"1:1": "1328x1328", "16:9": "1664x928"}


@pytest.mark.parametrize(
    ("resolution", "aspect_ratio", "multiple", "size"),
    [
        ("480p", "16:9", 16, (864, 496)),
        ("480P", "9:16", 16, (496, 864)),
        ("720p", "16:9", 16, (1280, 720)),
        ("720p", "1:1", 32, (960, 960)),
        ("1080p", "16:9", 64, (1920, 1088)),
    ],
)
def test_named_resolution_has_its_pixels_in_the_aspect(
    resolution: str, aspect_ratio: str, multiple: int, size: tuple[int, int]
) -> None:
    request = {"resolution": resolution, "aspect_ratio": aspect_ratio}

    assert size_of(request, multiple=multiple) == size


@pytest.mark.parametrize(
    ("request_", "size"),
    [
        ({"resolution": "832x480"}, (832, 480)),
        ({"resolution": "833x470"}, (848, 480)),
        ({"resolution": "480p", "width": 640, "height": 360}, (640, 368)),
        ({"resolution": "480p", "aspect_ratio": "2:1", "width": 640}, (640, 320)),
        ({"resolution": "480p", "aspect_ratio": "2:1", "height": 320}, (640, 320)),
        ({"resolution": "832x480", "width": None, "height": 0}, (832, 480)),
    ],
)
def test_exact_sides_go_before_the_resolution(
    request_: dict[str, Any], size: tuple[int, int]
) -> None:
    assert size_of(request_, multiple=16) == size


def test_aspect_of_a_picture_goes_before_that_of_the_request() -> None:
    picture = Image.new("RGB", (300, 100))
    request = {"resolution": "480p", "aspect_ratio": "16:9"}

    width, height = size_of(request, multiple=16, like=picture)

    assert width / height == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resolution", "large"),
        ("resolution", "0x480"),
        ("resolution", "480"),
        ("aspect_ratio", "w:h"),
    ],
)
def test_text_of_another_form_is_told_by_its_field(field: str, value: str) -> None:
    request = {"resolution": "480p", "aspect_ratio": "16:9", field: value}

    with pytest.raises(InvalidFields) as refused:
        size_of(request, multiple=16)

    assert [each.field for each in refused.value.violations] == [field]


@pytest.mark.parametrize(
    ("request_", "size"),
    [
        ({"aspect_ratio": "16:9"}, (1664, 928)),
        ({"aspect_ratio": "16:9", "resolution": ""}, (1664, 928)),
        ({"aspect_ratio": "16:9", "resolution": "1024x1024"}, (1024, 1024)),
        ({"aspect_ratio": "1:1", "width": 512, "height": 768}, (512, 768)),
        ({"aspect_ratio": "1:1", "width": 512}, (512, 512)),
    ],
)
def test_aspect_names_a_size_where_the_model_has_one_for_each(
    request_: dict[str, Any], size: tuple[int, int]
) -> None:
    assert tabled_size(request_, TABLE, multiple=16) == size


@pytest.mark.parametrize(
    ("request_", "fps", "every", "frames"),
    [
        ({"target_video_length": 5}, 16, 4, 81),
        ({"target_video_length": 5}, 24, 8, 121),
        ({"target_video_length": 1}, 15, 4, 17),
        ({"target_video_length": 1}, 1, 4, 5),
        ({"target_video_length": 5, "num_frames": 33}, 16, 4, 33),
        ({"target_video_length": 5, "num_frames": "33"}, 16, 4, 33),
        ({"target_video_length": 5, "num_frames": None}, 16, 4, 81),
    ],
)
def test_clip_has_a_multiple_of_frames_and_one(
    request_: dict[str, Any], fps: float, every: int, frames: int
) -> None:
    assert frame_count(request_, fps=fps, every=every) == frames


def test_picture_is_cut_from_its_middle() -> None:
    picture = Image.new("RGB", (90, 30), "red")
    picture.paste("blue", (30, 0, 60, 30))

    cut = fitted(picture, (60, 60))

    assert cut.size == (60, 60)
    assert {cut.getpixel((x, y)) for x in (9, 50) for y in (0, 59)} == {(0, 0, 255)}


@pytest.mark.parametrize(
    ("picture", "request_", "size"),
    [
        ((1600, 900), {}, (1360, 768)),
        ((900, 1600), {}, (768, 1360)),
        ((50, 50), {}, (1024, 1024)),
        ((100, 50), {"width": 512}, (512, 256)),
        ((100, 50), {"height": 256}, (512, 256)),
        ((100, 50), {"width": 300, "height": 300}, (304, 304)),
        ((9999, 1), {"width": 64}, (64, 16)),
    ],
)
def test_size_is_shaped_like_a_picture(
    picture: tuple[int, int], request_: dict[str, int], size: tuple[int, int]
) -> None:
    image = Image.new("L", picture)

    assert shaped_like(image, request_, pixels=1024 * 1024, multiple=16) == size
