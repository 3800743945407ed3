"""The names of generations: of the second in which they were asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Name:
    """What a generation and its files are called after."""

    tail: str

    @property
    def task_id(self) -> str:
        """The id of the task."""
        return f"task_{self.tail}"

    def file(self, extension: str) -> str:
        """Returns the name of the video."""
        return f"video_{self.tail}.{extension}"


class Names:
    """Gives names; those of one second are numbered from the second on."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._second = ""
        self._count = 0

    def next(self) -> Name:
        """Returns a name that was not given before."""
        second = self._clock().strftime("%Y%m%d_%H%M%S")
        if second <= self._second:  # a clock may be set back
            self._count += 1
            return Name(f"{self._second}_{self._count}")
        self._second, self._count = second, 0
        return Name(second)
