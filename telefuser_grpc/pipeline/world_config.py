"""What a client asks of a walk through a world: read, checked, and filled with defaults."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from telefuser_grpc.pipeline.world_length import Length, exactly, longest

Fields = Mapping[str, Any]

MAX_SEED = 2**63 - 1
MAX_PROMPT = 10_000

DEFAULTS: Fields = {
    "prompt": "",
    "negative_prompt": "",
    "control_mode": "cam",
    "fps": 16,
    "chunk_size": 3,
    "frame_num": None,
    "frame_policy": "truncate",
    "max_duration_seconds": None,
    "sample_shift": 10.0,
    "seed": 42,
    "num_inference_steps": None,
    "guidance_scale": None,
    "max_attention_size": None,
    "max_sequence_length": 512,
    "intrinsics": None,
    "intrinsics_width": None,
    "intrinsics_height": None,
    "control_move_step": 0.05,
    "control_lateral_step": 0.05,
    "control_translation_scale": 3.0,
    "control_yaw_step_degrees": 2.0,
    "control_pitch_step_degrees": 2.0,
    "control_pitch_limit_degrees": 85.0,
    "show_control_hud": True,
    "benchmark_metrics": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intrinsics:
    """A camera: focal lengths and centre, as shares of the width and the height of its picture."""

    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """A session of a world.

    Attributes:
        control_mode: What the controls steer: the camera ("cam") or actions ("act").
        length: How long the walk is, and its chunks.
        max_duration_seconds: The longest that the client wants.
        sample_shift: How far the noise schedule is shifted; None leaves it to the model.
        num_inference_steps: Denoising steps of a chunk; None leaves them to the model.
        max_attention_size: The most tokens that are attended to; None attends to all.
        max_sequence_length: The most tokens of the prompt.
        control_move_step: How far a frame moves forward or back.
        control_lateral_step: How far a frame moves aside.
        control_translation_scale: By what all moves are multiplied.
        benchmark_metrics: Whether the summary at the end lists every chunk.
    """

    prompt: str
    negative_prompt: str
    control_mode: str
    fps: int
    length: Length
    max_duration_seconds: float
    sample_shift: float | None
    seed: int
    num_inference_steps: int | None
    guidance_scale: float | None
    max_attention_size: int | None
    max_sequence_length: int
    intrinsics: Intrinsics | None
    control_move_step: float
    control_lateral_step: float
    control_translation_scale: float
    control_yaw_step_degrees: float
    control_pitch_step_degrees: float
    control_pitch_limit_degrees: float
    show_control_hud: bool
    benchmark_metrics: bool


def read_config(
    fields: Fields,
    *,
    defaults: Fields,
    stride: int,
    max_duration_seconds: float,
    control_modes: tuple[str, ...],
    image_size: tuple[int, int] | None = None,
) -> WorldConfig:
    """Returns the configuration that a client's fields stand for; others of them mean nothing here.

    Args:
        fields: As they came; one that is None is not set.
        defaults: Of a world, where they differ from `DEFAULTS`.
        max_duration_seconds: The longest walk that the service allows.
        image_size: Of the picture that the camera looks at, where there is one.

    Raises:
        ValueError: A field has another type or lies out of bounds; the message names it.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    read = _Reader({**DEFAULTS, **defaults, **given})
    seconds = read.number(
        "max_duration_seconds", above=0, most=max_duration_seconds, default=max_duration_seconds
    )
    fps = read.whole("fps", least=1, most=60)
    return WorldConfig(
        prompt=read.text("prompt"),
        negative_prompt=read.text("negative_prompt"),
        control_mode=read.choice("control_mode", control_modes),
        fps=fps,
        length=_length(read, fps=fps, stride=stride, seconds=seconds),
        max_duration_seconds=seconds,
        sample_shift=read.optional_number("sample_shift", above=0, most=100),
        seed=read.whole("seed", least=0, most=MAX_SEED),
        num_inference_steps=read.optional_whole("num_inference_steps", least=1, most=100),
        guidance_scale=read.optional_number("guidance_scale", above=0, most=20),
        max_attention_size=read.optional_whole("max_attention_size", least=1, most=2**31 - 1),
        max_sequence_length=read.whole("max_sequence_length", least=1, most=4096),
        intrinsics=_intrinsics(read, image_size),
        control_move_step=read.number("control_move_step", least=0, most=10),
        control_lateral_step=read.number("control_lateral_step", least=0, most=10),
        control_translation_scale=read.number("control_translation_scale", least=0, most=100),
        control_yaw_step_degrees=read.number("control_yaw_step_degrees", least=0, most=45),
        control_pitch_step_degrees=read.number("control_pitch_step_degrees", least=0, most=45),
        control_pitch_limit_degrees=read.number("control_pitch_limit_degrees", least=0, most=89),
        show_control_hud=read.flag("show_control_hud"),
        benchmark_metrics=read.flag("benchmark_metrics"),
    )


def _length(read: "_Reader", *, fps: int, stride: int, seconds: float) -> Length:
    chunk_size = read.whole("chunk_size", least=1, most=64)
    policy = read.choice("frame_policy", ("truncate", "strict"))
    frames = read.optional_whole("frame_num", least=1, most=1_000_000)
    if frames is None:
        return longest(fps=fps, chunk_size=chunk_size, stride=stride, seconds=seconds)
    return exactly(
        frames,
        fps=fps,
        chunk_size=chunk_size,
        stride=stride,
        seconds=seconds,
        is_strict=policy == "strict",
    )


def _intrinsics(read: "_Reader", image_size: tuple[int, int] | None) -> Intrinsics | None:
    value = read.fields["intrinsics"]
    width, height = image_size or (None, None)
    width = read.optional_whole("intrinsics_width", least=1, most=100_000) or width
    height = read.optional_whole("intrinsics_height", least=1, most=100_000) or height
    if value is None:
        return None
    numbers = _focal(value)
    if numbers is None or not all(map(_is_number, numbers)) or min(numbers[:2]) <= 0:
        raise ValueError("intrinsics must be [fx, fy, cx, cy] in pixels, or a 3x3 matrix of them")
    if width is None or height is None:
        raise ValueError("intrinsics need intrinsics_width and intrinsics_height, or a picture")
    fx, fy, cx, cy = numbers
    return Intrinsics(fx=fx / width, fy=fy / height, cx=cx / width, cy=cy / height)


def _focal(value: Any) -> list[Any] | None:
    """Returns the four numbers of a camera, in either form; None for anything else."""
    if not isinstance(value, list):
        return None
    if len(value) == 3 and all(isinstance(row, list) and len(row) == 3 for row in value):
        return [value[0][0], value[1][1], value[0][2], value[1][2]]
    return value if len(value) == 4 else None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one field after the other; all errors name theirs."""

    fields: Fields

    def text(self, name: str) -> str:
        value = self.fields[name]
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a text, got {_told(value)}")
        if len(value) > MAX_PROMPT:
            raise ValueError(f"{name} must have at most {MAX_PROMPT} characters, got {len(value)}")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.fields[name]
        if not isinstance(value, str) or value not in choices:
            raise ValueError(
                f"{name} must be {' or '.join(map(repr, choices))}, got {_told(value)}"
            )
        return value

    def flag(self, name: str) -> bool:
        value = self.fields[name]
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, got {_told(value)}")
        return value

    def number(
        self,
        name: str,
        *,
        most: float,
        least: float = -math.inf,
        above: float = -math.inf,
        default: float | None = None,
    ) -> float:
        value = self.fields[name]
        value = default if value is None else value
        if not _is_number(value):
            raise ValueError(f"{name} must be a number, got {_told(value)}")
        if not (least <= value <= most and value > above):
            low = f"more than {above:g}" if above > least else f"at least {least:g}"
            raise ValueError(f"{name} must be {low} and at most {most:g}, got {value:g}")
        return float(value)

    def optional_number(self, name: str, *, above: float, most: float) -> float | None:
        return None if self.fields[name] is None else self.number(name, above=above, most=most)

    def whole(self, name: str, *, least: int, most: int) -> int:
        value = self.fields[name]
        if not _is_number(value) or value != int(value):
            raise ValueError(f"{name} must be a whole number, got {_told(value)}")
        if not least <= value <= most:
            raise ValueError(f"{name} must be {least} to {most}, got {int(value)}")
        return int(value)

    def optional_whole(self, name: str, *, least: int, most: int) -> int | None:
        return None if self.fields[name] is None else self.whole(name, least=least, most=most)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _told(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
