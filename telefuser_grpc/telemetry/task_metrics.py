"""What is counted and measured of tasks."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram

from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.telemetry.buckets import TASK_SECONDS

ENDS = {
    TaskState.COMPLETED: "Total number of tasks completed",
    TaskState.FAILED: "Total number of tasks failed",
    TaskState.CANCELLED: "Total number of tasks cancelled",
}


class TaskMetrics:
    """Counts tasks since the start of the server, and measures how long they waited and ran."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._created = Counter(
            "telefuser_tasks_created", "Total number of tasks created", registry=registry
        )
        self._ended = {
            state: Counter(f"telefuser_tasks_{state}", text, registry=registry)
            for state, text in ENDS.items()
        }
        self._entered = Counter(
            "telefuser_tasks",
            "Total number of times that tasks took a status",
            ["task", "status"],
            registry=None,
        )
        registry.register(_Undescribed(self._entered))
        self._duration = Histogram(
            "telefuser_task_duration_seconds",
            "Duration of task execution in seconds",
            buckets=TASK_SECONDS,
            registry=registry,
        )
        self._queue_wait = Histogram(
            "telefuser_task_queue_wait_seconds",
            "Time from the creation of a task to its first start in seconds",
            buckets=TASK_SECONDS,
            registry=registry,
        )

    def create(self, task: Task) -> None:
        """Counts a new task."""
        self._created.inc()
        self._entered.labels(task.kind, task.state).inc()

    def change(self, task: Task) -> None:
        """Counts a new state; a first start ends the wait, completion the last attempt."""
        self._entered.labels(task.kind, task.state).inc()
        if counter := self._ended.get(task.state):
            counter.inc()
        if task.started_at is None:
            return
        if task.state is TaskState.PROCESSING and task.attempt == 1:
            self._queue_wait.observe(_seconds(task.created_at, task.started_at))
        if task.state is TaskState.COMPLETED and task.finished_at:
            self._duration.observe(_seconds(task.started_at, task.finished_at))

    def totals(self) -> dict[str, int]:
        """Returns the counts by their documented names."""
        ended = {state.value: _value(counter) for state, counter in self._ended.items()}
        return {"created": _value(self._created), **ended}


class _Undescribed:
    """Hides a metric's name, where the registry wrongly sees a clash.

    It takes `tasks_created` for the creation time of `tasks`, which is never shown.
    """

    def __init__(self, metric: Counter) -> None:
        self.collect = metric.collect


def _seconds(begin: datetime, end: datetime) -> float:
    """Returns the time between; a clock that was set back in between makes it no less than 0."""
    return max(0.0, (end - begin).total_seconds())


def _value(counter: Counter) -> int:
    (family,) = counter.collect()
    return int(family.samples[0].value)
