"""Keys and poses lead the camera as world models have learnt it."""

import math
from typing import Any

import numpy as np
import pytest

from telefuser_grpc.pipeline.world_camera import Camera, at_the_beginning, follow, walk
from telefuser_grpc.pipeline.world_config import WorldConfig, read_config
from telefuser_grpc.pipeline.world_controls import Poses


def config(**fields: Any) -> WorldConfig:
    usual = {"control_translation_scale": 1.0}
    return read_config(
        {**usual, **fields},
        defaults={},
        stride=4,
        max_duration_seconds=20,
        control_modes=("cam",),
    )


def at(x: float = 0, y: float = 0, z: float = 0) -> Any:
    pose = np.eye(4)
    pose[:3, 3] = (x, y, z)
    return pose


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ("w", (0, 0, 0.4)),
        ("s", (0, 0, -0.4)),
        ("d", (0.8, 0, 0)),
        ("a", (-0.8, 0, 0)),
        ("wd", (0.8, 0, 0.4)),
        ("ws", (0, 0, 0)),
    ],
)
def test_moves_lead_ahead_and_aside(keys: str, place: tuple[float, float, float]) -> None:
    settings = config(control_move_step=0.1, control_lateral_step=0.2)

    path = walk(at_the_beginning(), keys, 4, settings)

    assert len(path) == 4
    assert path[-1].pose[:3, 3] == pytest.approx(place)


def test_moves_are_scaled() -> None:
    settings = config(control_move_step=0.1, control_translation_scale=3.0)

    assert walk(at_the_beginning(), "w", 1, settings)[0].pose[2, 3] == pytest.approx(0.3)


def test_turn_to_the_right_looks_to_the_right() -> None:
    settings = config(control_yaw_step_degrees=30)

    camera = walk(at_the_beginning(), "l", 3, settings)[-1]

    assert camera.pose[:3, 2] == pytest.approx((1, 0, 0))


def test_who_looks_up_still_walks_level() -> None:
    settings = config(control_move_step=1.0, control_pitch_step_degrees=45)

    camera = walk(at_the_beginning(), "i", 1, settings)[-1]
    moved = walk(camera, "w", 1, settings)[-1]

    assert camera.pitch == pytest.approx(math.pi / 4)
    assert camera.pose[1, 2] < 0  # up: y points down
    assert moved.pose[:3, 3] == pytest.approx((0, 0, 1))


@pytest.mark.parametrize(("key", "sign"), [("i", 1), ("k", -1)])
def test_view_is_tilted_to_its_limit_and_no_further(key: str, sign: int) -> None:
    settings = config(control_pitch_step_degrees=10, control_pitch_limit_degrees=35)

    path = walk(walk(at_the_beginning(), key, 2, settings)[-1], key, 5, settings)

    assert math.degrees(path[-1].pitch) == pytest.approx(sign * 30)


def test_poses_are_reached_step_by_step() -> None:
    path = follow(at_the_beginning(), Poses(matrices=(at(z=4), at(x=2, z=4))), 4, stride=2)

    places = [tuple(camera.pose[:3, 3]) for camera in path]
    assert places == [(0, 0, 2), (0, 0, 4), (1, 0, 4), (2, 0, 4)]


def test_first_of_the_poses_is_where_the_given_picture_was_seen_from() -> None:
    path = follow(at_the_beginning(), Poses(matrices=(at(z=1), at(z=3))), 2, stride=2)

    assert [camera.pose[2, 3] for camera in path] == [2, 3]


def test_poses_may_say_where_they_begin_and_how_large_they_are() -> None:
    poses = Poses(matrices=(at(z=2),), previous=at(z=1), scale=10.0)

    path = follow(Camera(at(x=99)), poses, 2, stride=2)

    assert [tuple(camera.pose[:3, 3]) for camera in path] == [(0, 0, 15), (0, 0, 20)]


def test_pose_between_two_is_one_itself() -> None:
    settings = config(control_yaw_step_degrees=40, control_pitch_step_degrees=40)
    there = walk(at_the_beginning(), "il", 2, settings)[-1]

    path = follow(at_the_beginning(), Poses(matrices=(there.pose,)), 4, stride=4)

    for camera in path:
        turned = camera.pose[:3, :3]
        assert turned @ turned.T == pytest.approx(np.eye(3), abs=1e-9)
        assert np.linalg.det(turned) == pytest.approx(1)
    assert path[-1].pose == pytest.approx(there.pose, abs=1e-9)
    assert path[-1].pitch == pytest.approx(there.pitch)


def test_keys_lead_where_the_action_words_of_the_library_lead() -> None:
    actions = pytest.importorskip("diffusers.pipelines.sana_wm.cam_utils").action_string_to_c2w
    settings = config(control_yaw_step_degrees=1.2, control_pitch_step_degrees=1.2)

    for keys in ("w", "wl", "ij", "kda"):
        path = [camera.pose for camera in walk(at_the_beginning(), keys, 40, settings)]
        assert actions(f"{keys}-40")[1:] == pytest.approx(np.stack(path), abs=1e-5)
