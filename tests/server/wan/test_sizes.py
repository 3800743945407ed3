"""Sizes and numbers of frames of the Wan model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefuser_grpc.server.wan.sizes import RatioTooLong, effective_frames, output_size


@pytest.mark.parametrize(
    ("picture", "video"),
    [
        ((1920, 1080), (832, 464)),
        ((1080, 1920), (464, 832)),
        ((1024, 1024), (624, 624)),
        ((640, 480), (720, 544)),
        ((832, 480), (832, 480)),
        ((480, 832), (480, 832)),
    ],
)
def test_auto_keeps_the_ratio_of_the_picture(
    picture: tuple[int, int], video: tuple[int, int]
) -> None:
    assert output_size("auto", *picture) == video


def test_auto_holds_the_cap_where_rounding_would_exceed_it() -> None:
    width, height = output_size("auto", 669, 207)

    assert (width, height) == (1120, 352)
    assert 1136 * 352 > 399_360 >= width * height


@given(short=st.integers(1, 4000), ratio=st.floats(1, 8), is_tall=st.booleans())
def test_auto_never_exceeds_the_cap_and_is_whole_in_sixteens(
    short: int, ratio: float, is_tall: bool
) -> None:
    sides = (short, int(short * ratio))

    width, height = output_size("auto", *(sides if is_tall else reversed(sides)))

    assert width * height <= 399_360
    assert width % 16 == height % 16 == 0
    assert min(width, height) >= 16


@pytest.mark.parametrize(("name", "size"), [("480x832", (480, 832)), ("832x480", (832, 480))])
def test_named_size_is_width_by_height_whatever_the_picture(
    name: str, size: tuple[int, int]
) -> None:
    assert output_size(name, 1000, 10) == size


@pytest.mark.parametrize("picture", [(801, 100), (100, 801)])
def test_picture_longer_than_eight_to_one_has_no_automatic_size(picture: tuple[int, int]) -> None:
    with pytest.raises(RatioTooLong):
        output_size("auto", *picture)


@pytest.mark.parametrize(
    ("wanted", "made"), [(24, 25), (25, 25), (27, 25), (28, 29), (50, 49), (81, 81), (120, 121)]
)
def test_frames_become_one_more_than_a_multiple_of_four(wanted: int, made: int) -> None:
    assert effective_frames(wanted) == made
