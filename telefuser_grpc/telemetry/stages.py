"""Measures the stages of running tasks from their progress."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from telefuser_grpc.domain.task import Task, TaskState


class Observe(Protocol):
    """Takes the measure of one stage that is over."""

    def __call__(self, name: str, seconds: float, *, is_failed: bool = False) -> None: ...


class StageClock:
    """Times each stage from the end of the one before, or the start of the attempt.

    A stage ends with its last update: what follows the last step is not the stage's.
    """

    def __init__(self, observe: Observe, clock: Callable[[], float]) -> None:
        self._observe = observe
        self._clock = clock
        self._running: dict[str, _Stage] = {}

    def change(self, task: Task) -> None:
        """Notes a task's new state."""
        if task.state is TaskState.PROCESSING:
            now = self._clock()
            self._running[task.id] = _Stage(since=now, updated=now)
        elif task.state is not TaskState.CANCELLING and (stage := self._running.pop(task.id, None)):
            self._close(stage, task.state)

    def advance(self, task_id: str, name: str) -> None:
        """Notes an update of a stage."""
        if not (stage := self._running.get(task_id)):
            return
        if stage.name and stage.name != name:
            self._observe(stage.name, stage.seconds)
            stage.since = stage.updated
        stage.name = name
        stage.updated = self._clock()

    def _close(self, stage: "_Stage", state: TaskState) -> None:
        if stage.name and state in (TaskState.COMPLETED, TaskState.FAILED):
            self._observe(stage.name, stage.seconds, is_failed=state is TaskState.FAILED)


@dataclass(slots=True)
class _Stage:
    """The stage that a task is in; its name is "" before the first update."""

    since: float
    updated: float
    name: str = ""

    @property
    def seconds(self) -> float:
        return self.updated - self.since
