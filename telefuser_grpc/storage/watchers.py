"""Who is told of events: one topic for each watched task, shared by all its watchers."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager

from telefuser_grpc.domain.task import StateChange, TaskEvent
from telefuser_grpc.errors import ShuttingDown

MOST_KEPT = 128
LEAST_KEPT = 32  # of progress and previews, once there are too many


class Topic:
    """The latest events of one task.

    A watcher is a place in the topic, so a thousand slow ones cost no more memory than one. When
    events pile up, the older progress and previews go; state changes stay.
    """

    def __init__(self) -> None:
        self.watcher_count = 0
        self._events: list[TaskEvent] = []
        self._ended = False
        self._closed = False
        self._pulse = asyncio.Event()

    def put(self, event: TaskEvent) -> None:
        """Adds an event and wakes the watchers."""
        self._events.append(event)
        self._ended = event.is_last
        if len(self._events) > MOST_KEPT:
            self._events = _thinned(self._events)
        self._wake()

    def end(self) -> None:
        """Ends the watchers after what they have not seen yet."""
        self._ended = True
        self._wake()

    def close(self) -> None:
        """Turns the watchers away."""
        self._closed = True
        self._wake()

    async def next(self, after_sequence: int) -> TaskEvent | None:
        """Waits for the first event after a sequence; None when none will come.

        Raises:
            ShuttingDown
        """
        while True:
            place = bisect_right(self._events, after_sequence, key=_sequence)
            if place < len(self._events):
                return self._events[place]
            if self._ended:
                return None
            if self._closed:
                raise ShuttingDown
            await self._pulse.wait()

    def _wake(self) -> None:
        self._pulse.set()
        self._pulse.clear()


class Hub:
    """Brings committed events to the topics, and tells who waits for any change of state."""

    def __init__(self) -> None:
        self._topics: dict[str, Topic] = {}
        self._change_count = 0
        self._pulse = asyncio.Event()
        self._closed = False

    @contextmanager
    def topic(self, task_id: str) -> Iterator[Topic]:
        """Keeps a task's topic while someone watches it."""
        topic = self._topics.setdefault(task_id, Topic())
        topic.watcher_count += 1
        try:
            yield topic
        finally:
            topic.watcher_count -= 1
            if not topic.watcher_count and self._topics.get(task_id) is topic:
                del self._topics[task_id]

    def publish(self, events: Iterable[TaskEvent], deleted: Iterable[str]) -> None:
        """Tells of one commit."""
        changed = False
        for event in events:
            changed |= isinstance(event.change, StateChange)
            if topic := self._topics.get(event.task_id):
                topic.put(event)
        for task_id in deleted:
            changed = True
            if topic := self._topics.pop(task_id, None):
                topic.end()
        if changed:
            self._change_count += 1
            self._wake()

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yields now, and once after each time that states have changed meanwhile."""
        seen = -1
        while not self._closed:
            if seen != self._change_count:
                seen = self._change_count
                yield
            else:
                await self._pulse.wait()

    def close(self) -> None:
        """Ends every watcher."""
        self._closed = True
        self._wake()
        for topic in self._topics.values():
            topic.close()

    def _wake(self) -> None:
        self._pulse.set()
        self._pulse.clear()


def _sequence(event: TaskEvent) -> int:
    return event.sequence


def _thinned(events: list[TaskEvent]) -> list[TaskEvent]:
    """Returns the state changes, the latest of the others, and the latest of each kind."""
    latest = {type(event.change): event for event in events}
    recent = events[-LEAST_KEPT:]
    kept = [
        event
        for event in events[:-LEAST_KEPT]
        if isinstance(event.change, StateChange) or latest[type(event.change)] is event
    ]
    return kept + recent
