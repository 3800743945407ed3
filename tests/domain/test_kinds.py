"""Kinds: what each makes and reads by default."""

import pytest

from telefuser_grpc.domain.kinds import (
    DEFAULT_INPUTS,
    IMAGE_FIELDS,
    IMAGE_KINDS,
    INPUT_FIELDS,
    KIND_PATTERN,
    VIDEO_FIELDS,
    MediaType,
    default_media_type,
)


@pytest.mark.parametrize("kind", sorted(IMAGE_KINDS))
def test_image_kinds_make_images(kind: str) -> None:
    assert default_media_type(kind) is MediaType.IMAGE


@pytest.mark.parametrize("kind", ["t2v", "i2v", "vsr", "anything_else"])
def test_all_other_kinds_make_videos(kind: str) -> None:
    assert default_media_type(kind) is MediaType.VIDEO


@pytest.mark.parametrize(
    ("kind", "media_type", "required", "optional"),
    [
        ("t2v", "video", (), ()),
        ("i2v", "video", ("first_image_path",), ("last_image_path",)),
        ("fl2v", "video", ("first_image_path", "last_image_path"), ()),
        ("vc", "video", ("ref_video_path",), ()),
        ("vsr", "video", ("ref_video_path",), ()),
        ("s2v", "video", (), ()),
        ("t2i", "image", (), ()),
        ("i2i", "image", ("first_image_path",), ()),
        ("edit", "image", (), ()),
    ],
)
def test_kinds_have_their_documented_media(
    kind: str, media_type: str, required: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    assert default_media_type(kind) == media_type
    assert DEFAULT_INPUTS[kind] == (required, optional)


def test_default_inputs_are_media_fields() -> None:
    named = {name for inputs in DEFAULT_INPUTS.values() for names in inputs for name in names}

    assert named <= set(INPUT_FIELDS)
    assert {*IMAGE_FIELDS, *VIDEO_FIELDS} < set(INPUT_FIELDS)
    assert not set(IMAGE_FIELDS) & set(VIDEO_FIELDS)


def test_known_kinds_are_well_formed() -> None:
    assert all(KIND_PATTERN.fullmatch(kind) for kind in DEFAULT_INPUTS)


@pytest.mark.parametrize("kind", ["", "t", "2tv", "T2V", "t2v!", "a" * 33, "t2v\n"])
def test_a_malformed_kind_does_not_match(kind: str) -> None:
    assert not KIND_PATTERN.fullmatch(kind)
