"""Expected times, from how long runs of each kind have taken."""

import heapq
from collections.abc import Sequence
from datetime import datetime, timedelta

from telefuser_grpc.domain.task import Task

WEIGHT_OF_NEWEST = 0.3
FALLBACK_RETRY_SECONDS = 5.0


class Estimates:
    """Remembers a moving average of run times, in seconds, for each kind of task."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def learn(self, kind: str, seconds: float) -> None:
        """Takes in how long a run has occupied its replica."""
        known = self._seconds.get(kind, seconds)
        self._seconds[kind] = known + WEIGHT_OF_NEWEST * (seconds - known)

    def starts(
        self, waiting: Sequence[Task], running: Sequence[Task], *, replicas: int, now: datetime
    ) -> dict[str, datetime]:
        """Returns expected starts of waiting tasks, up to the first whose wait cannot be told."""
        free = [max(now, end) for end in map(self._end, running) if end]
        if len(free) < len(running) or not replicas:
            return {}
        free += [now] * (replicas - len(free))
        heapq.heapify(free)
        starts = {}
        for task in waiting:
            starts[task.id] = free[0]
            if task.kind not in self._seconds:
                break
            heapq.heapreplace(free, free[0] + timedelta(seconds=self._seconds[task.kind]))
        return starts

    def seconds_to_room(self, running: Sequence[Task], now: datetime) -> float:
        """Returns when a place in a full queue is expected, at least one second from now."""
        ends = [end for end in map(self._end, running) if end]
        if not ends:
            return FALLBACK_RETRY_SECONDS
        return max(1.0, (min(ends) - now).total_seconds())

    def _end(self, task: Task) -> datetime | None:
        seconds = self._seconds.get(task.kind)
        if seconds is None or task.started_at is None:
            return None
        return task.started_at + timedelta(seconds=seconds)
