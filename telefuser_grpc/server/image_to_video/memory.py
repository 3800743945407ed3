"""Says before a run whether the device has room for it."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

GIGABYTE = 2**30
RESERVE_GB = 2.0
ANCHORS = (
    (512 * 512 * 16, 13.5),
    (768 * 768 * 24, 17.8),
    (1024 * 1024 * 32, 21.5),
)
"""Known needs: pixels of all frames together, and gigabytes with the model."""
Shape: TypeAlias = tuple[int, int, int]
"""Width, height and frames of a video."""


class GpuMemory(Protocol):
    """The memory of one GPU; None where the driver cannot say."""

    @property
    def memory_used_bytes(self) -> int | None: ...

    @property
    def memory_total_bytes(self) -> int | None: ...


class DeviceMemory:
    """Compares what a run needs with what it may take.

    A run needs what runs of its shape were measured to take, else what is known of similar ones;
    both count the model. It may take what is free, and what the resident model holds already:
    what was taken since `begin`, as far as a run explains it. Without a GPU, or without readings,
    everything fits.

    Args:
        read: Reads every GPU; called in a thread.
    """

    def __init__(self, read: Callable[[], Sequence[GpuMemory]]) -> None:
        self._read = read
        self._measured: dict[Shape, float] = {}
        self._others_gb: list[float] = []

    def begin(self) -> None:
        """Notes what others hold, before a model is loaded."""
        self._others_gb = [used for used, _ in self._readings()]

    def used_gb(self) -> float:
        """Returns what is taken on all GPUs together."""
        return sum(used for used, _ in self._readings())

    def learn(self, shape: Shape, peak_memory_mib: float | None) -> None:
        """Takes in what a run has taken at most."""
        if peak_memory_mib is not None:
            peak = peak_memory_mib / 1024
            self._measured[shape] = max(peak, self._measured.get(shape, 0.0))

    def is_measured(self, shape: Shape) -> bool:
        """Tells whether a run of this shape was measured."""
        return shape in self._measured

    def required_gb(self, shape: Shape) -> float:
        """Returns what a run takes with its model."""
        return self._measured.get(shape) or _estimated(shape)

    def fits(self, shape: Shape) -> bool:
        """Tells whether some GPU has room for a run, and a reserve."""
        required = self.required_gb(shape)
        readings = self._readings()
        free = [self._free(place, *each, required) for place, each in enumerate(readings)]
        return not free or max(free) > required + RESERVE_GB

    def _free(self, place: int, used: float, total: float, required: float) -> float:
        if place >= len(self._others_gb):
            self._others_gb.append(used)
        # Who held memory at the start may have gone since, as an earlier server's replica has.
        self._others_gb[place] = min(self._others_gb[place], used)
        resident = min(used - self._others_gb[place], max([required, *self._measured.values()]))
        return total - used + resident

    def _readings(self) -> list[tuple[float, float]]:
        return [
            (each.memory_used_bytes / GIGABYTE, each.memory_total_bytes / GIGABYTE)
            for each in self._read()
            if each.memory_used_bytes is not None and each.memory_total_bytes is not None
        ]


def _estimated(shape: Shape) -> float:
    """Draws lines through the known needs."""
    width, height, frames = shape
    pixels = width * height * frames
    lower, upper = ANCHORS[:2] if pixels <= ANCHORS[1][0] else ANCHORS[1:]
    slope = (upper[1] - lower[1]) / (upper[0] - lower[0])
    return lower[1] + slope * (pixels - lower[0])
