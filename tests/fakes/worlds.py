"""A world without a model, whose chunks are made when a test says so."""

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from telefuser_grpc.pipeline.world_config import WorldConfig
from telefuser_grpc.pipeline.world_controls import Controls
from telefuser_grpc.pipeline.world_model import Progress, WorldTraits

NO_HUD = {"show_control_hud": False}


def hurried() -> Callable[[], float]:
    """Returns a clock on which every chunk has long been seen."""
    return itertools.count(0.0, 1000.0).__next__


@dataclass
class FakeWorld:
    """Counts frames: the brightness of each is its number.

    Attributes:
        permits: How many chunks may be made; each takes one.
        begun: Set when a chunk has been begun.
        fault: Raised in place of the next chunk.
        fault_of_end: Raised in place of the end.
        calls: The keys and the frames of each chunk.
        ended: The states that were let go.
    """

    traits: WorldTraits = field(
        default_factory=lambda: WorldTraits(name="FakeWorld", needs_image=False, defaults=NO_HUD)
    )
    permits: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1000))
    begun: threading.Event = field(default_factory=threading.Event)
    fault: Exception | None = None
    fault_of_end: Exception | None = None
    is_loaded: bool = False
    threads: set[str] = field(default_factory=set)
    calls: list[tuple[str, int]] = field(default_factory=list)
    asked: list[Controls] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    def load(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.is_loaded = True

    def begin(self, image: Any | None, config: WorldConfig) -> tuple[Any, int]:
        self.threads.add(threading.current_thread().name)
        return image or _frame(0), 0

    def generate(
        self, state: int, controls: Controls, frames: int, progress: Progress
    ) -> tuple[Sequence[Any], int]:
        self.threads.add(threading.current_thread().name)
        self.calls.append(("".join(controls.keys), frames))
        self.asked.append(controls)
        self.begun.set()
        self.permits.acquire()
        progress(step=1, total_steps=1)
        if self.fault is not None:
            raise self.fault
        return [_frame(state + place + 1) for place in range(frames)], state + frames

    def end(self, state: int) -> None:
        self.ended.append(state)
        if self.fault_of_end is not None:
            raise self.fault_of_end


def _frame(number: int) -> Any:
    return Image.new("RGB", (8, 8), (number, number, number))
