"""Reads a whole clip, for pipelines that give it back changed: its frames, rate and sound."""

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


def _sound(file: Any) -> tuple[Any, int]:
    import av
    import numpy as np

    rate = file.streams.audio[0].rate
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=rate)
    pieces = [
        piece.to_ndarray()
        for frame in [*file.decode(audio=0), None]
        for piece in resampler.resample(frame)
    ]
    return (np.concatenate(pieces, axis=1) if pieces else np.zeros((2, 0), np.float32)), rate
