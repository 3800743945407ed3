"""What a download answers to conditions and ranges."""

from collections.abc import Mapping

import pytest

from telefuser_grpc.server.download import disposition, etag, plan_download
from tests.fakes.builders import make_artifact

VIDEO = make_artifact(size_bytes=100)
TAG = f'"{"ab" * 16}"'


def test_whole_file_has_every_header() -> None:
    download = plan_download(VIDEO, {})

    assert (download.status, download.start, download.stop) == (200, 0, 100)
    assert download.headers == {
        "accept-ranges": "bytes",
        "etag": TAG,
        "cache-control": "private, max-age=31536000, immutable",
        "content-disposition": 'attachment; filename="task_1.mp4"',
        "x-content-type-options": "nosniff",
    }


def test_tag_is_strong_and_follows_the_content() -> None:
    assert etag(VIDEO) == TAG
    assert etag(make_artifact(sha256="cd" * 32)) != TAG


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=99-", 99, 100),
        ("bytes=0-", 0, 100),
        ("bytes=90-1000", 90, 100),
        ("bytes=-1", 99, 100),
        ("bytes=-100", 0, 100),
        ("bytes=-1000", 0, 100),
    ],
)
def test_range_is_a_part(wanted: str, start: int, stop: int) -> None:
    download = plan_download(VIDEO, {"range": wanted})

    assert (download.status, download.start, download.stop) == (206, start, stop)
    assert download.headers["content-range"] == f"bytes {start}-{stop - 1}/100"
    assert download.headers["etag"] == TAG


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "bytes=-",
        "bytes=",
        "bytes=0-1,5-6",
        "bytes=5-2",
        "bytes=a-b",
        "bytes = 0-1",
        "items=0-1",
        "bytes=0x1-2",
        f"bytes=0-{'9' * 40}",
    ],
)
def test_range_that_is_none_or_several_is_ignored(wanted: str) -> None:
    download = plan_download(VIDEO, {"range": wanted})

    assert (download.status, download.start, download.stop) == (200, 0, 100)
    assert "content-range" not in download.headers


@pytest.mark.parametrize("wanted", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_range_beyond_the_end_is_impossible(wanted: str) -> None:
    download = plan_download(VIDEO, {"range": wanted})

    assert download.status == 416
    assert download.headers == {"content-range": "bytes */100"}


@pytest.mark.parametrize("condition", [TAG, f"W/{TAG}", f'"x", {TAG}', f'"x",W/{TAG},"y"', "*"])
def test_known_content_is_not_sent_again(condition: str) -> None:
    download = plan_download(VIDEO, {"if-none-match": condition, "range": "bytes=0-1"})

    assert download.status == 304
    assert download.headers["etag"] == TAG
    assert download.headers["cache-control"].startswith("private")


@pytest.mark.parametrize("condition", ["", '"x"', TAG.strip('"'), '"*"'])
def test_unknown_content_is_sent(condition: str) -> None:
    assert plan_download(VIDEO, {"if-none-match": condition}).status == 200


@pytest.mark.parametrize(
    ("condition", "status"),
    [(TAG, 206), ('"x"', 200), (f"W/{TAG}", 200), ("Fri, 02 Jan 2026 03:04:05 GMT", 200)],
)
def test_range_holds_for_the_same_content_only(condition: str, status: int) -> None:
    request: Mapping[str, str] = {"range": "bytes=0-1", "if-range": condition}

    assert plan_download(VIDEO, request).status == status


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b.mp4", 'attachment; filename="a b.mp4"'),
        ("球.mp4", "attachment; filename=\"_.mp4\"; filename*=UTF-8''%E7%90%83.mp4"),
        ('a"b.mp4', "attachment; filename=\"a_b.mp4\"; filename*=UTF-8''a%22b.mp4"),
        ("a\\b.mp4", "attachment; filename=\"a_b.mp4\"; filename*=UTF-8''a%5Cb.mp4"),
        ("a\r\nb.mp4", "attachment; filename=\"a__b.mp4\"; filename*=UTF-8''a%0D%0Ab.mp4"),
    ],
)
def test_disposition_keeps_every_name_and_stays_ascii(name: str, expected: str) -> None:
    assert disposition(name) == expected
