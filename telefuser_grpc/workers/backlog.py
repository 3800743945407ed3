"""A short queue between two threads whose producer asks for room before it promises anything."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Backlog(Generic[T]):
    """Holds up to `room` things for one consumer. There is one producer."""

    def __init__(self, *, room: int) -> None:
        self._room = room
        self._things: deque[T] = deque()
        self._changed = threading.Condition()
        self._is_closed = False

    def wait_for_room(self, *, until: Callable[[], bool]) -> bool:
        """Waits for room, or until something holds, which `wake` makes it look at again.

        Returns whether there is room and `until` does not hold.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._things) < self._room or until())
            return not until()

    def wake(self) -> None:
        """Lets the producer look again at what it waits for."""
        with self._changed:
            self._changed.notify_all()

    def put(self, thing: T) -> None:
        """Adds a thing, for which there must be room."""
        with self._changed:
            self._things.append(thing)
            self._changed.notify_all()

    def close(self) -> None:
        """Promises that nothing more will be put."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def take(self) -> T | None:
        """Waits for the oldest thing; None when the backlog is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._things or self._is_closed)
            if not self._things:
                return None
            self._changed.notify_all()
            return self._things.popleft()
