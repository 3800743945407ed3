"""How many frames a walk has, and how they are parted into chunks.

A latent frame stands for `stride` frames, the first one for a single frame, so that a walk of n
latent frames has `stride * (n - 1) + 1` frames. Each chunk has as many latent frames as any other.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long a walk is: `chunk_size` is in latent frames."""

    frames: int
    chunk_size: int
    stride: int

    @property
    def chunks(self) -> int:
        """Chunks in all."""
        return ((self.frames - 1) // self.stride + 1) // self.chunk_size

    def frames_after_the_first(self, chunk: int) -> int:
        """Returns how many frames of a chunk are to be made; the first frame is given."""
        latent_frames = self.chunk_size if chunk else self.chunk_size - 1
        return latent_frames * self.stride


def longest(*, fps: int, chunk_size: int, stride: int, seconds: float) -> Length:
    """Returns the longest walk of so many seconds. Raises ValueError."""
    latent_frames = (math.floor(seconds * fps / stride) + 1) // chunk_size * chunk_size
    if latent_frames < chunk_size:
        raise ValueError(
            f"max_duration_seconds={seconds:g} is too short for chunk_size={chunk_size} at "
            f"fps={fps}; a chunk lasts {(chunk_size - 1) * stride / fps:g} seconds at least"
        )
    return _length(latent_frames, chunk_size, stride)


def exactly(
    frames: int, *, fps: int, chunk_size: int, stride: int, seconds: float, is_strict: bool
) -> Length:
    """Returns a walk of so many frames, cut down to whole chunks unless `is_strict`.

    Raises:
        ValueError: It has no whole chunk, is longer than so many seconds, or would be cut.
    """
    latent_frames = ((frames - 1) // stride + 1) // chunk_size * chunk_size
    length = _length(latent_frames, chunk_size, stride)
    shortest = _length(chunk_size, chunk_size, stride).frames
    if latent_frames < chunk_size:
        raise ValueError(f"frame_num must be at least {shortest}, got {frames}")
    if is_strict and length.frames != frames:
        raise ValueError(
            f"frame_num must be {stride}n+1 with a multiple of chunk_size={chunk_size} latent "
            f"frames, got {frames}; {length.frames} would do, or frame_policy 'truncate'"
        )
    if (length.frames - 1) / fps > seconds:
        raise ValueError(
            f"frame_num={length.frames} lasts {(length.frames - 1) / fps:g} seconds at fps={fps}, "
            f"at most {seconds:g} allowed"
        )
    return length


def _length(latent_frames: int, chunk_size: int, stride: int) -> Length:
    return Length(frames=stride * (latent_frames - 1) + 1, chunk_size=chunk_size, stride=stride)
