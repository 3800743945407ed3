"""Expected times, from how long runs of each kind have taken."""

import heapq
from collections.abc import Sequence
from datetime import datetime, timedelta

from telefuser_grpc.domain.task import Task

WEIGHT_OF_NEWEST = 0.3
FALLBACK_RETRY_SECONDS = 5.0


class Estimates:
    """Remembers moving averages, in seconds, for each kind of task.

    A run takes as long as the batch that it is of; a task takes its share of that.
    """

    def __init__(self) -> None:
        self._run_seconds: dict[str, float] = {}
        self._task_seconds: dict[str, float] = {}

    def learn(self, kind: str, seconds: float, *, batch_size: int = 1) -> None:
        """Takes in how long so many runs have occupied their replica together."""
        _average(self._run_seconds, kind, seconds)
        _average(self._task_seconds, kind, seconds / batch_size)

    def starts(
        self, waiting: Sequence[Task], running: Sequence[Task], *, replicas: int, now: datetime
    ) -> dict[str, datetime]:
        """Returns expected starts of waiting tasks, up to the first whose wait cannot be told."""
        if not replicas or any(task.kind not in self._run_seconds for task in running):
            return {}
        free = self._free(running, now)
        free += [now] * (replicas - len(free))
        heapq.heapify(free)
        starts = {}
        for task in waiting:
            starts[task.id] = free[0]
            if task.kind not in self._task_seconds:
                break
            heapq.heapreplace(free, free[0] + timedelta(seconds=self._task_seconds[task.kind]))
        return starts

    def seconds_to_room(self, running: Sequence[Task], now: datetime) -> float:
        """Returns when a place in a full queue is expected, at least one second from now."""
        ends = [end for end in map(self._end, running) if end]
        if not ends:
            return FALLBACK_RETRY_SECONDS
        return max(1.0, (min(ends) - now).total_seconds())

    def _free(self, running: Sequence[Task], now: datetime) -> list[datetime]:
        """Returns when each replica that works is free: after the last of its runs."""
        ends: dict[int | None, datetime] = {}
        for task in running:
            end = self._end(task) or now
            ends[task.replica] = max(now, end, ends.get(task.replica, now))
        return list(ends.values())

    def _end(self, task: Task) -> datetime | None:
        seconds = self._run_seconds.get(task.kind)
        if seconds is None or task.started_at is None:
            return None
        return task.started_at + timedelta(seconds=seconds)


def _average(known: dict[str, float], kind: str, seconds: float) -> None:
    before = known.get(kind, seconds)
    known[kind] = before + WEIGHT_OF_NEWEST * (seconds - before)
