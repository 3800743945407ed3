"""What a reference is taken for."""

import pytest

from telefuser_grpc.server.openai.video_reference import field_of, media_field

VIDEO, PICTURE = "ref_video_path", "first_image_path"


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mov", ".mkv", ".webm", ".MP4"])
@pytest.mark.parametrize("around", ["films/clip{}", "http://x.y/clip{}?size=1", "http://x.y/a{}#t"])
def test_name_with_the_suffix_of_a_video_is_a_video(around: str, suffix: str) -> None:
    assert media_field(around.format(suffix)) == VIDEO


@pytest.mark.parametrize(
    "reference",
    [
        "films/cat.png",
        "http://x.y/cat.jpeg",
        "http://x.y/cat",
        "http://x.y/?file=clip.mp4",
        "http://clip.mp4/cat",
        "http://[x/clip.mp4",
        "data:image/png;base64,AAAA",
        "iVBORw0KGgo=",
        "",
    ],
)
def test_all_else_is_a_picture(reference: str) -> None:
    assert media_field(reference) == PICTURE


@pytest.mark.parametrize("reference", ["data:video/mp4;base64,AAAA", "DATA:Video/webm,x"])
def test_data_url_says_that_it_is_a_video(reference: str) -> None:
    assert media_field(reference) == VIDEO


@pytest.mark.parametrize(
    ("content_type", "field"),
    [("video/mp4", VIDEO), ("image/png", PICTURE), ("audio/wav", PICTURE)],
)
def test_file_is_taken_for_what_its_content_is(content_type: str, field: str) -> None:
    assert field_of(content_type) == field
