"""What a run has made, in memory or written by the pipeline itself, on its way to be encoded."""

from dataclasses import dataclass
from typing import Any

from telefuser_grpc.domain.job import RunReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """Sound beside a clip: numpy samples, (n,), (channels, n) or (n, channels)."""

    samples: Any
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """The result of a run.

    Attributes:
        frames: Pictures in main memory, PIL images or numpy arrays; None when there are none.
        file: Absolute path of a file that the pipeline has written itself, or "".
        fps: Frames per second, where the frames are a clip.
    """

    report: RunReport
    frames: Any = None
    file: str = ""
    fps: float = 0.0
    audio: Audio | None = None
