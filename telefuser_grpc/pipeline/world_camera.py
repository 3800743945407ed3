"""Where the camera of a walk goes: x to the right, y down, z ahead; poses are camera to world."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from telefuser_grpc.pipeline.world_config import WorldConfig
from telefuser_grpc.pipeline.world_controls import Poses


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """Where one looks from: a 4x4 pose, and how far it is tilted, in radians."""

    pose: Any
    pitch: float = 0.0


def at_the_beginning() -> Camera:
    """Returns the camera of a session that begins."""
    return Camera(np.eye(4))


def walk(camera: Camera, keys: Iterable[str], frames: int, config: WorldConfig) -> list[Camera]:
    """Returns the camera at each of so many frames during which keys are held."""
    path: list[Camera] = []
    for _ in range(frames):
        camera = _step(camera, frozenset(keys), config)
        path.append(camera)
    return path


def follow(camera: Camera, poses: Poses, frames: int, *, stride: int) -> list[Camera]:
    """Returns the camera at each of so many frames on its way through explicit poses.

    Each pose is that of the last of `stride` frames; where there is one pose more, the first is
    that of the picture which was given.
    """
    marks = [_placed(each, poses.scale) for each in poses.matrices]
    start = camera.pose if poses.previous is None else _placed(poses.previous, poses.scale)
    if len(marks) > frames // stride:
        start, *marks = marks
    path: list[Any] = []
    for mark in marks:
        path += _between(start, mark, stride)
        start = mark
    return [Camera(pose, _pitch(pose)) for pose in path]


def _step(camera: Camera, keys: frozenset[str], config: WorldConfig) -> Camera:
    tilt = math.radians(config.control_pitch_step_degrees) * (("i" in keys) - ("k" in keys))
    if abs(camera.pitch + tilt) > math.radians(config.control_pitch_limit_degrees):
        tilt = 0.0
    turn = math.radians(config.control_yaw_step_degrees) * (("l" in keys) - ("j" in keys))
    pose = np.eye(4)
    pose[:3, :3] = _about_y(turn) @ camera.pose[:3, :3] @ _about_x(tilt)
    ahead = config.control_move_step * (("w" in keys) - ("s" in keys))
    aside = config.control_lateral_step * (("d" in keys) - ("a" in keys))
    move = _level(pose[:3, 2]) * ahead + _level(pose[:3, 0]) * aside
    pose[:3, 3] = camera.pose[:3, 3] + move * config.control_translation_scale
    return Camera(pose, camera.pitch + tilt)


def _level(direction: Any) -> Any:
    """Returns a direction without its up and down: who looks down still walks ahead."""
    level = direction * np.array([1, 0, 1])
    length = np.linalg.norm(level)
    return level / length if length else level


def _about_x(angle: float) -> Any:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


def _about_y(angle: float) -> Any:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def _placed(matrix: Sequence[Sequence[float]], scale: float) -> Any:
    pose = np.asarray(matrix, dtype=np.float64).copy()
    pose[:3, 3] *= scale
    return pose


def _between(start: Any, end: Any, count: int) -> list[Any]:
    """Returns poses on the way to another one, the last of them that one."""
    return [_upright(start + (end - start) * (place + 1) / count) for place in range(count)]


def _upright(pose: Any) -> Any:
    """Returns the pose nearest to a mixture of poses, which is none itself."""
    left, _, right = np.linalg.svd(pose[:3, :3])
    left[:, -1] *= np.linalg.det(left @ right)
    pose[:3, :3] = left @ right
    return pose


def _pitch(pose: Any) -> float:
    return math.asin(max(-1.0, min(1.0, -float(pose[1, 2]))))
