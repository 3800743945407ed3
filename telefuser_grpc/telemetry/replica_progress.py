"""How far each replica is with what it runs: one series per replica, not one per task."""

from collections.abc import Mapping

from telefuser_grpc.domain.task import Progress, Task, TaskState


class ReplicaProgress:
    """Knows the task that each replica has last begun, until it ends."""

    def __init__(self) -> None:
        self._replicas: dict[str, int] = {}
        self._runs: dict[int, tuple[str, float]] = {}

    def change(self, task: Task) -> None:
        """Notes a task's new state."""
        if task.state is TaskState.PROCESSING and task.replica is not None:
            self._replicas[task.id] = task.replica
            self._runs[task.replica] = (task.id, 0.0)
        elif task.state is not TaskState.CANCELLING:
            self._forget(task.id)

    def advance(self, task_id: str, progress: Progress) -> None:
        """Notes a task's steps; a replica that has begun another task shows that one's."""
        replica = self._replicas.get(task_id)
        if replica is not None and progress.steps > 0 and self._shows(replica, task_id):
            self._runs[replica] = (task_id, min(1.0, progress.step / progress.steps))

    def ratios(self) -> Mapping[int, float]:
        """Returns the share of steps that are done, by replica; idle ones are absent."""
        return {replica: ratio for replica, (_, ratio) in sorted(self._runs.items())}

    def _forget(self, task_id: str) -> None:
        replica = self._replicas.pop(task_id, None)
        if replica is not None and self._shows(replica, task_id):
            del self._runs[replica]

    def _shows(self, replica: int, task_id: str) -> bool:
        run = self._runs.get(replica)
        return run is not None and run[0] == task_id
