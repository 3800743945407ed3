"""Sizes of videos as resolutions and aspect ratios."""

import pytest

from telefuser_grpc.server.openai.video_size import VideoSize


@pytest.mark.parametrize(
    ("asked", "resolution", "aspect_ratio"),
    [
        ("1024x1024", "720p", "1:1"),
        ("1024x576", "720p", "16:9"),
        ("576x1024", "720p", "9:16"),
        ("1280x720", "720p", "16:9"),
        ("768x768", "720p", "1:1"),
        ("768x1024", "720p", "3:4"),
        ("1024x768", "720p", "4:3"),
        ("1920x1080", "1080p", "16:9"),
        ("1080x1920", "1080p", "9:16"),
        ("256x256", "480p", "1:1"),
        ("512x512", "480p", "1:1"),
    ],
)
def test_known_size_has_its_documented_resolution(
    asked: str, resolution: str, aspect_ratio: str
) -> None:
    size = VideoSize.parse(asked)

    assert (size.resolution, size.aspect_ratio) == (resolution, aspect_ratio)


@pytest.mark.parametrize(
    ("asked", "resolution"),
    [
        ("720x1280", "720p"),
        ("1024x1792", "720p"),
        ("1792x1024", "720p"),
        ("854x480", "480p"),
        ("719x2000", "480p"),
        ("2160x3840", "2160p"),
        ("1080x1081", "1080p"),
    ],
)
def test_other_size_counts_by_its_shorter_side(asked: str, resolution: str) -> None:
    assert VideoSize.parse(asked).resolution == resolution


@pytest.mark.parametrize(
    ("asked", "resolution", "pixels"),
    [
        ("480p", "480p", (854, 480)),
        ("720P", "720p", (1280, 720)),
        (" 1080p ", "1080p", (1920, 1080)),
        ("2160p", "2160p", (3840, 2160)),
        ("4k", "2160p", (3840, 2160)),
    ],
)
def test_name_of_a_resolution_is_a_size(
    asked: str, resolution: str, pixels: tuple[int, int]
) -> None:
    size = VideoSize.parse(asked)

    assert (size.resolution, (size.width, size.height)) == (resolution, pixels)
    assert (size.aspect_ratio, size.fields["openai_video_size"]) == ("16:9", asked.strip())


@pytest.mark.parametrize(
    ("asked", "ratio"), [("1024x1792", "9:16"), ("854x480", "16:9"), ("640x480", "4:3")]
)
def test_aspect_ratio_is_the_nearest_that_pipelines_know(asked: str, ratio: str) -> None:
    assert VideoSize.parse(asked).aspect_ratio == ratio


@pytest.mark.parametrize(
    "text", ["", "banana", "1280", "x", "0x0", "1x0", "8193x1", "1280*720", "-1x5", "360p", "٣x٣"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be <width>x<height>"):
        VideoSize.parse(text)
