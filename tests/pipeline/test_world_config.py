"""A client's fields are checked, and filled with defaults."""

from typing import Any

import pytest

from telefuser_grpc.pipeline.world_config import WorldConfig, read_config
from telefuser_grpc.pipeline.world_length import Length, exactly, longest


def read(**fields: Any) -> WorldConfig:
    return read_config(
        fields,
        defaults={"control_yaw_step_degrees": 0.5},
        stride=4,
        max_duration_seconds=20.0,
        control_modes=("cam", "act"),
        image_size=(100, 50),
    )


def test_fields_that_are_not_set_have_defaults() -> None:
    config = read(prompt=None, task="world", unknown=[1])

    assert (config.prompt, config.control_mode, config.fps) == ("", "cam", 16)
    assert (config.sample_shift, config.seed, config.max_sequence_length) == (10.0, 42, 512)
    assert (config.control_move_step, config.control_lateral_step) == (0.05, 0.05)
    assert (config.control_translation_scale, config.control_pitch_limit_degrees) == (3.0, 85.0)
    assert (config.control_pitch_step_degrees, config.control_yaw_step_degrees) == (2.0, 0.5)
    assert (config.show_control_hud, config.benchmark_metrics) == (True, False)
    assert config.length == Length(frames=321, chunk_size=3, stride=4)


def test_fields_go_before_the_defaults_of_the_world() -> None:
    config = read(
        prompt="p",
        control_mode="act",
        fps=24.0,
        chunk_size=4,
        frame_num=29,
        control_yaw_step_degrees=3,
        show_control_hud=False,
        num_inference_steps=7,
        guidance_scale=1,
    )

    assert (config.prompt, config.control_mode, config.fps) == ("p", "act", 24)
    assert config.length == Length(frames=29, chunk_size=4, stride=4)
    assert (config.control_yaw_step_degrees, config.show_control_hud) == (3.0, False)
    assert (config.num_inference_steps, config.guidance_scale) == (7, 1.0)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"prompt": 3}, "prompt must be a text, got 3"),
        ({"prompt": "x" * 10_001}, "prompt must have at most 10000 characters, got 10001"),
        ({"control_mode": "fly"}, "control_mode must be 'cam' or 'act', got 'fly'"),
        ({"control_mode": ["cam"]}, "control_mode must be 'cam' or 'act', got ['cam']"),
        ({"fps": 0}, "fps must be 1 to 60, got 0"),
        ({"fps": 12.5}, "fps must be a whole number, got 12.5"),
        ({"fps": True}, "fps must be a whole number, got True"),
        ({"fps": float("nan")}, "fps must be a whole number, got nan"),
        ({"chunk_size": 65}, "chunk_size must be 1 to 64, got 65"),
        ({"frame_policy": "round"}, "frame_policy must be 'truncate' or 'strict', got 'round'"),
        ({"seed": -1}, "seed must be 0 to 9223372036854775807, got -1"),
        ({"max_duration_seconds": 21}, "must be more than 0 and at most 20, got 21"),
        ({"max_duration_seconds": 0}, "max_duration_seconds must be more than 0"),
        ({"sample_shift": "10"}, "sample_shift must be a number, got '10'"),
        ({"max_attention_size": 0}, "max_attention_size must be 1 to 2147483647, got 0"),
        ({"max_sequence_length": 5000}, "max_sequence_length must be 1 to 4096, got 5000"),
        ({"control_move_step": -1}, "control_move_step must be at least 0 and at most 10, got -1"),
        ({"control_pitch_limit_degrees": 90}, "control_pitch_limit_degrees must be at least 0"),
        ({"show_control_hud": "yes"}, "show_control_hud must be true or false, got 'yes'"),
        ({"intrinsics": [1, 2, 3]}, "intrinsics must be [fx, fy, cx, cy]"),
        ({"intrinsics": [0, 1, 1, 1]}, "intrinsics must be [fx, fy, cx, cy]"),
        ({"intrinsics": "wide"}, "intrinsics must be [fx, fy, cx, cy]"),
        ({"intrinsics_width": 0}, "intrinsics_width must be 1 to 100000, got 0"),
        ({"prompt": ["x" * 100]}, "…"),
    ],
)
def test_bad_field_is_refused_by_its_name(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are below
        read(**fields)

    assert told in str(refused.value)


@pytest.mark.parametrize("intrinsics", [[50, 25, 50, 25], [[50, 0, 50], [0, 25, 25], [0, 0, 1]]])
def test_camera_is_told_in_shares_of_its_picture(intrinsics: Any) -> None:
    camera = read(intrinsics=intrinsics).intrinsics

    assert camera is not None
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (0.5, 0.5, 0.5, 0.5)


def test_camera_of_a_picture_of_another_size_is_scaled() -> None:
    camera = read(
        intrinsics=[50, 25, 50, 25], intrinsics_width=200, intrinsics_height=100
    ).intrinsics

    assert camera is not None
    assert (camera.fx, camera.cy) == (0.25, 0.25)


def test_camera_without_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="intrinsics_width and intrinsics_height"):
        read_config(
            {"intrinsics": [1, 1, 1, 1]},
            defaults={},
            stride=4,
            max_duration_seconds=20,
            control_modes=("cam",),
        )


@pytest.mark.parametrize(
    ("seconds", "fps", "chunk_size", "frames"),
    [(20, 16, 3, 321), (5, 16, 3, 81), (120, 16, 4, 1917), (1, 16, 3, 9), (0.5, 16, 3, 9)],
)
def test_walk_is_as_long_as_whole_chunks_allow(
    seconds: float, fps: int, chunk_size: int, frames: int
) -> None:
    length = longest(fps=fps, chunk_size=chunk_size, stride=4, seconds=seconds)

    assert length.frames == frames
    assert (length.frames - 1) / fps <= seconds


def test_walk_shorter_than_a_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match=r"max_duration_seconds=0.2 is too short"):
        longest(fps=16, chunk_size=3, stride=4, seconds=0.2)


@pytest.mark.parametrize(("asked", "frames"), [(81, 81), (80, 69), (92, 81), (9, 9)])
def test_frames_are_cut_down_to_whole_chunks(asked: int, frames: int) -> None:
    length = exactly(asked, fps=16, chunk_size=3, stride=4, seconds=20, is_strict=False)

    assert length.frames == frames


@pytest.mark.parametrize(
    ("asked", "is_strict", "told"),
    [
        (80, True, "frame_num must be 4n+1 with a multiple of chunk_size=3"),
        (8, False, "frame_num must be at least 9, got 8"),
        (333, False, "frame_num=333 lasts 20.75 seconds at fps=16, at most 20 allowed"),
    ],
)
def test_frames_that_make_no_walk_are_refused(asked: int, is_strict: bool, told: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are below
        exactly(asked, fps=16, chunk_size=3, stride=4, seconds=20, is_strict=is_strict)

    assert told in str(refused.value)


@pytest.mark.parametrize("chunk_size", [1, 3])
def test_chunks_have_all_frames(chunk_size: int) -> None:
    length = Length(frames=81, chunk_size=chunk_size, stride=4)

    made = sum(length.frames_after_the_first(chunk) for chunk in range(length.chunks))

    assert 1 + made == 81
