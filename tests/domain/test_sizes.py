"""How large media may be, as contracts say it."""

from typing import Any

import pytest

from telefuser_grpc.domain.artifact import MediaFacts
from telefuser_grpc.domain.contract import Enforcement, TaskContract
from telefuser_grpc.domain.contract_shape import ContractError
from telefuser_grpc.domain.sizes import InputLimits, largest_like
from telefuser_grpc.errors import InvalidFields

LIMITS = {"max_aspect_ratio": 8, "max_pixels": 640 * 480, "max_frames": 241, "max_seconds": 20}
SIZED = TaskContract.parse("t2v", {"max_pixels": 832 * 480})


def facts(
    width: int = 64, height: int = 64, *, frames: int = 1, seconds: float = 0.0
) -> MediaFacts:
    return MediaFacts(
        content_type="video/mp4",
        width=width,
        height=height,
        frame_count=frames,
        duration_seconds=seconds,
    )


@pytest.mark.parametrize(
    "within",
    [
        facts(512, 64),
        facts(64, 512),
        facts(640, 480),
        facts(480, 640),
        facts(frames=241, seconds=20),
    ],
)
def test_what_is_within_all_limits_has_no_fault(within: MediaFacts) -> None:
    assert InputLimits.parse("limits", LIMITS).fault(within) == ""


@pytest.mark.parametrize(
    ("beyond", "fault"),
    [
        (facts(513, 64), "is 513x64, at most 8 times as long as wide allowed; cut it"),
        (facts(64, 513), "is 64x513, at most 8 times as long as wide allowed; cut it"),
        (facts(800, 600), "is 800x600; scale it down, as to 640x480"),
        (facts(frames=242), "has 242 frames, at most 241 allowed; cut it"),
        (facts(seconds=20.5), "lasts 20.5 seconds, at most 20 allowed; cut it"),
        (facts(seconds=20.02), "lasts 20.1 seconds, at most 20 allowed; cut it"),
    ],
)
def test_what_is_too_large_is_told_with_what_to_do(beyond: MediaFacts, fault: str) -> None:
    assert InputLimits.parse("limits", LIMITS).fault(beyond) == fault


def test_no_limit_bounds_nothing() -> None:
    assert InputLimits().fault(facts(100_000, 1, frames=10**6, seconds=1e6)) == ""


@pytest.mark.parametrize("shape", [(800, 600), (10**9, 1), (1, 10**9), (1300, 1), (16, 10**5)])
def test_size_that_is_advised_is_within_the_bound(shape: tuple[int, int]) -> None:
    for most in (16 * 16, 832 * 480, 1280 * 720):
        width, height = map(int, largest_like(*shape, most).split("x"))

        assert 0 < width * height <= most


@pytest.mark.parametrize("size", [{}, {"width": 832, "height": 480}, {"width": 480, "height": 832}])
def test_a_size_comes_whole_or_not_at_all(size: dict[str, int]) -> None:
    assert SIZED.complete(size) == size


@pytest.mark.parametrize(
    ("size", "field", "text"),
    [
        ({"width": 832}, "height", "must come with width, or neither"),
        ({"height": 832}, "width", "must come with height, or neither"),
        (
            {"width": 832, "height": 832},
            "width",
            "times height must be at most 399360 pixels, as in 624x624",
        ),
        ({"width": 10**9, "height": 1}, "width", "times height must be at most 399360 pixels"),
    ],
)
def test_half_a_size_and_one_too_large_are_refused(
    size: dict[str, int], field: str, text: str
) -> None:
    with pytest.raises(InvalidFields) as caught:
        SIZED.complete(size)

    violation = caught.value.violations[0]
    assert violation.field == field
    assert violation.message.startswith(text)


def test_a_relaxed_contract_bounds_no_size() -> None:
    assert SIZED.complete({"width": 4000}, enforcement=Enforcement.RELAXED) == {"width": 4000}


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        ({"max_pixels": 0}, "max_pixels: must be a number above 0, not 0"),
        ({"max_pixels": True}, "max_pixels: must be a number above 0, not True"),
        ({"max_pixels": "480p"}, "max_pixels: must be an integer, not '480p'"),
        ({"input_limits": 8}, "input_limits: must be an object, not 8"),
        ({"input_limits": {"image": {}}}, "input_limits.image: no input; there are first_image"),
        ({"input_limits": {"mask": 8}}, "input_limits.mask: must be an object, not 8"),
        (
            {"input_limits": {"mask": {"max_side": 8}}},
            "input_limits.mask.max_side: unknown; there are max_aspect_ratio, max_pixels",
        ),
        (
            {"input_limits": {"mask": {"max_seconds": -1}}},
            "input_limits.mask.max_seconds: must be a number above 0, not -1",
        ),
    ],
)
def test_what_makes_no_sense_is_named(declared: dict[str, Any], fault: str) -> None:
    with pytest.raises(ContractError) as caught:
        TaskContract.parse("t2v", declared)

    assert str(caught.value).startswith(f"task_contracts.t2v.{fault}")
