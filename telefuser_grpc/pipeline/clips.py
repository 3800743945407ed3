"""Reads a whole clip, for pipelines that give it back changed: its frames, rate and sound."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline.media import read_frames


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip.

    Attributes:
        frames: PIL images.
        fps: Frames a second.
        audio: Samples, numpy (channels, n), and their rate; None where it is silent.
    """

    frames: list[Any]
    fps: float
    audio: tuple[Any, int] | None


def read_clip(path: str | Path, *, limit: int) -> Clip:
    """Returns a clip, with no more than its first `limit` frames."""
    import av

    with av.open(str(path)) as file:
        fps = float(file.streams.video[0].average_rate or 0) or 16.0
        audio = _sound(file) if file.streams.audio else None
    return Clip(read_frames(path, limit=limit), fps, audio)


def read_sound(path: str | Path, *, seconds: float) -> tuple[Any, int] | None:
    """Returns the beginning of a file's sound: samples, numpy (channels, n), and their rate.

    None where it has no sound.
    """
    import av

    with av.open(str(path)) as file:
        return _sound(file, seconds=seconds) if file.streams.audio else None


def _sound(file: Any, *, seconds: float | None = None) -> tuple[Any, int]:
    import av
    import numpy as np

    rate = file.streams.audio[0].rate
    most = None if seconds is None else round(seconds * rate)
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=rate)
    pieces: list[Any] = [np.zeros((2, 0), np.float32)]
    length = 0
    for frame in itertools.chain(file.decode(audio=0), [None]):
        pieces += [piece.to_ndarray() for piece in resampler.resample(frame)]
        length += frame.samples if frame else 0
        if most is not None and length >= most:
            break
    return np.concatenate(pieces, axis=1)[:, :most], rate
