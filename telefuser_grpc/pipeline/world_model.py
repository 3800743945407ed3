"""What a world model is to the service that lets one person at a time walk through it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from telefuser_grpc.pipeline.world_config import WorldConfig
from telefuser_grpc.pipeline.world_controls import KEYS, Controls

S = TypeVar("S")

Progress = Callable[..., None]
"""Tells the client of the chunk that is being made, by keywords; raises when nobody waits for it.

Whatever it raises is to be let through.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldTraits:
    """What a world can do.

    Attributes:
        name: What its users call it.
        stride: Frames that a latent frame stands for; a clip has a multiple of them, and 1.
        max_duration_seconds: The longest session, in seconds of video.
        needs_image: Whether it cannot begin without a picture.
        keys: Those of `KEYS` that it obeys.
        takes_poses: Whether it follows explicit camera poses, too.
        control_modes: What `control_mode` may be.
        defaults: Of fields of a session's configuration, where they differ from the usual.
    """

    name: str
    stride: int = 4
    max_duration_seconds: float = 20.0
    needs_image: bool = True
    keys: str = KEYS
    takes_poses: bool = False
    control_modes: tuple[str, ...] = ("cam",)
    defaults: Mapping[str, Any] = field(default_factory=dict)


class World(Protocol[S]):
    """A model that goes on from where one is. All but `traits` is called on one thread.

    Pictures are PIL images. A state is never changed: one may return to an earlier one.
    """

    @property
    def traits(self) -> WorldTraits: ...

    def load(self) -> None:
        """Makes everything ready; called once."""
        ...

    def begin(self, image: Any | None, config: WorldConfig) -> tuple[Any, S]:
        """Returns the first picture, and the state of who stands before it."""
        ...

    def generate(
        self, state: S, controls: Controls, frames: int, progress: Progress
    ) -> tuple[Sequence[Any], S]:
        """Returns so many frames that follow, and the state after them."""
        ...

    def end(self, state: S) -> None:
        """Lets go of what a session held."""
        ...
