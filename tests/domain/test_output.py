"""Output names and task ids: what callers may choose."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.domain.output import (
    EXTENSIONS,
    TASK_ID_PATTERN,
    new_task_id,
    output_name,
    task_id_violation,
    time_of_task_id,
)
from telefuser_grpc.errors import InvalidFields, OutputPathRejected

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)


def name_of(path: Any, media_type: MediaType = MediaType.VIDEO) -> str:
    return output_name("task_1", media_type, {"output_path": path})


@pytest.mark.parametrize(
    ("media_type", "fields", "name"),
    [
        (MediaType.VIDEO, {}, "task_1.mp4"),
        (MediaType.VIDEO, {"output_format": "png", "output_path": ""}, "task_1.mp4"),
        (MediaType.IMAGE, {}, "task_1.png"),
        (MediaType.IMAGE, {"output_format": "webp", "output_path": None}, "task_1.webp"),
        (MediaType.NONE, {"output_path": "a.mp4"}, ""),
    ],
)
def test_a_task_without_a_path_is_named_by_its_id(
    media_type: MediaType, fields: dict[str, Any], name: str
) -> None:
    assert output_name("task_1", media_type, fields) == name


@pytest.mark.parametrize("format", ["exe", "../../x", "PNG", 7, ["png"]])
def test_an_unknown_image_format_is_refused(format: Any) -> None:
    with pytest.raises(InvalidFields) as caught:
        output_name("task_1", MediaType.IMAGE, {"output_format": format})

    assert caught.value.violations[0].field == "output_format"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.mp4", "a.mp4"),
        ("sub/deep/a.webm", "sub/deep/a.webm"),
        ("./sub//../a.gif", "a.gif"),
        ("sub/../other/./a.mp4", "other/a.mp4"),
        ("A.MP4", "A.MP4"),
        ("два слова.mp4", "два слова.mp4"),
        (".hidden.mp4", ".hidden.mp4"),
    ],
)
def test_a_relative_path_is_kept_in_its_normal_form(path: str, name: str) -> None:
    assert name_of(path) == name


@pytest.mark.parametrize("path", ["/a.mp4", "//a.mp4", "/../a.mp4"])
def test_an_absolute_path_is_refused_with_the_documented_text(path: str) -> None:
    with pytest.raises(OutputPathRejected, match=r"^Absolute paths are not allowed$"):
        name_of(path)


@pytest.mark.parametrize("path", ["../a.mp4", "a/../../b.mp4", "..", "a/../..", "./../a.mp4"])
def test_a_path_that_leaves_the_outputs_is_refused_with_the_documented_text(path: str) -> None:
    with pytest.raises(OutputPathRejected, match=r"^Path escapes the service cache directory$"):
        name_of(path)


@pytest.mark.parametrize(
    "path",
    ["a\\b.mp4", "..\\a.mp4", "a\0.mp4", "a\n.mp4", "\x7f.mp4", "a\u202emp4.mp4", "\ud800.mp4"],
)
def test_characters_that_mislead_are_refused(path: str) -> None:
    with pytest.raises(OutputPathRejected, match="control characters"):
        name_of(path)


@pytest.mark.parametrize(
    "path", ["a.exe", "a.mov", "a.png", "a", "mp4", ".mp4", "sub/.mp4", "a.mp4/", ".", "a.mp4/.."]
)
def test_a_video_needs_the_name_of_a_video(path: str) -> None:
    with pytest.raises(OutputPathRejected, match=r"\.mp4, \.webm, \.gif"):
        name_of(path)


@pytest.mark.parametrize("extension", EXTENSIONS[MediaType.IMAGE])
def test_an_image_may_have_any_extension_of_images(extension: str) -> None:
    assert name_of(f"a.{extension}", MediaType.IMAGE) == f"a.{extension}"


def test_an_image_is_not_named_as_a_video() -> None:
    with pytest.raises(OutputPathRejected, match=r"\.png"):
        name_of("a.mp4", MediaType.IMAGE)


@pytest.mark.parametrize("path", ["a" * 197 + ".mp4", "é" * 99 + ".mp4", "aaa/" * 300 + "a.mp4"])
def test_a_path_that_no_file_system_takes_is_refused(path: str) -> None:
    with pytest.raises(OutputPathRejected, match="longer than"):
        name_of(path)


@pytest.mark.parametrize("path", [5, True, ["a.mp4"], {"a": "b"}])
def test_a_path_must_be_text(path: Any) -> None:
    with pytest.raises(OutputPathRejected, match="must be a string"):
        name_of(path)


def test_a_refusal_names_the_field() -> None:
    with pytest.raises(OutputPathRejected) as caught:
        name_of("/a.mp4")

    assert [each.field for each in caught.value.violations] == ["output_path"]
    assert caught.value.http_status == 400


@given(st.text(alphabet="./\\a\0 ~é", max_size=20))
def test_no_accepted_path_leaves_the_outputs(path: str) -> None:
    try:
        name = name_of(f"{path}.mp4")
    except OutputPathRejected:
        return

    assert not name.startswith("/")
    assert not {"", ".", ".."} & set(name.split("/"))


@pytest.mark.parametrize("task_id", ["a", "7", "task_01k9", "A.b-c_d", "x" * 128])
def test_a_plain_task_id_may_be_chosen(task_id: str) -> None:
    assert task_id_violation(task_id) is None


@pytest.mark.parametrize(
    "task_id", ["", ".", "..", "-a", "_a", "a/b", "a\\b", "my id!", "é", "a\n", "x" * 129]
)
def test_a_task_id_that_is_no_plain_name_is_a_violation(task_id: str) -> None:
    violation = task_id_violation(task_id)

    assert violation is not None
    assert violation.field == "task_id"


def test_a_new_task_id_is_a_lower_case_ulid() -> None:
    # the time of the example in the ULID specification
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1469918176385)

    task_id = new_task_id(moment, bytes(9) + b"\x01")

    assert task_id == "task_01aryz6s410000000000000001"


def test_new_task_id_tells_its_millisecond() -> None:
    moment = NOW.replace(microsecond=123_456)

    told = time_of_task_id(new_task_id(moment, b"\xff" * 10))

    assert told == NOW.replace(microsecond=123_000)


@pytest.mark.parametrize(
    "task_id",
    ["", "task_", "a", "task_20250405_100001", "0" * 32, "task_" + "8" * 26, "task_7" + "z" * 25],
)
def test_id_that_the_service_did_not_make_tells_no_time(task_id: str) -> None:
    assert time_of_task_id(task_id) is None


def test_new_task_ids_may_be_chosen_too() -> None:
    assert TASK_ID_PATTERN.fullmatch(new_task_id(NOW, b"\xff" * 10))


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2999, 1, 1)))
def test_task_ids_sort_by_their_time(moment: datetime) -> None:
    earlier = moment.replace(tzinfo=UTC)
    later = earlier + timedelta(milliseconds=1)

    assert new_task_id(earlier, b"\xff" * 10) < new_task_id(later, bytes(10))


def test_entropy_makes_task_ids_differ() -> None:
    assert new_task_id(NOW, bytes(10)) != new_task_id(NOW, b"\x01" + bytes(9))
