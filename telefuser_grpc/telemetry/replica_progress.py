"""How far each replica is with what it runs: one series per replica, not one per task."""

from collections.abc import Mapping

from telefuser_grpc.domain.task import Progress, Task, TaskState


class ReplicaProgress:
    """Knows the tasks that each replica has begun, until they end; the last of them is shown.

    Those that are made together step together: when one of them leaves, another stands for the
    rest.
    """

    def __init__(self) -> None:
        self._replicas: dict[str, int] = {}
        self._runs: dict[int, dict[str, float]] = {}

    def change(self, task: Task) -> None:
        """Notes a task's new state."""
        if task.state is TaskState.PROCESSING and task.replica is not None:
            self._forget(task.id)
            self._replicas[task.id] = task.replica
            self._runs.setdefault(task.replica, {})[task.id] = 0.0
        elif task.state is not TaskState.CANCELLING:
            self._forget(task.id)

    def advance(self, task_id: str, progress: Progress) -> None:
        """Notes a task's steps."""
        replica = self._replicas.get(task_id)
        if replica is not None and progress.steps > 0:
            self._runs[replica][task_id] = min(1.0, progress.step / progress.steps)

    def ratios(self) -> Mapping[int, float]:
        """Returns the share of steps that are done, by replica; idle ones are absent."""
        return {
            replica: next(reversed(runs.values())) for replica, runs in sorted(self._runs.items())
        }

    def _forget(self, task_id: str) -> None:
        replica = self._replicas.pop(task_id, None)
        if replica is None:
            return
        del self._runs[replica][task_id]
        if not self._runs[replica]:
            del self._runs[replica]
