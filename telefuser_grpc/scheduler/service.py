"""What the service as a whole is and does, for those who ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import NoCapacity, PipelineNotReady, ShuttingDown, TeleFuserError
from telefuser_grpc.scheduler.admission import Admission
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.ports import ReplicaPool
from telefuser_grpc.scheduler.scheduler import Scheduler


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """How the service was started: what its metadata says beside the contract.

    `parallelism` counts the devices of each replica; `configured_concurrency` is only shown.
    """

    pipeline_file: str
    parallelism: int
    task: str
    replicas: int
    security_level: str = "NONE"
    configured_concurrency: int = 10


class Service:
    """Reads the state of the service from those who own it."""

    def __init__(
        self,
        *,
        facts: ServiceFacts,
        tasks: Desk,
        scheduler: Scheduler,
        admission: Admission,
        replicas: ReplicaPool,
    ) -> None:
        self.facts = facts
        self._tasks = tasks
        self._scheduler = scheduler
        self._admission = admission
        self._replicas = replicas

    @property
    def contract(self) -> PipelineContract:
        """The loaded pipeline's contract. Raises PipelineNotReady."""
        return self._admission.contract

    @property
    def is_ready(self) -> bool:
        """Tells whether tasks would be accepted and run."""
        return self._obstacle() is None

    @property
    def why_not_ready(self) -> str:
        """Says in one sentence why tasks would not run, or nothing."""
        obstacle = self._obstacle()
        return obstacle.message if obstacle else ""

    def counts(self) -> Mapping[TaskState, int]:
        """Returns how many stored tasks are in each state."""
        return self._tasks.counts()

    @property
    def queue_limit(self) -> int:
        """The most tasks that may wait and run together."""
        return self._scheduler.limits.queue

    def running(self) -> Sequence[str]:
        """Returns the ids of the caller's tasks that run, the oldest first."""
        return self._tasks.running()

    def running_count(self) -> int:
        """Returns how many tasks of all callers run."""
        return self._tasks.running_count()

    def replicas(self) -> Sequence[ReplicaStatus]:
        """Returns every replica, by number; one does not tell whose task it runs."""
        return [
            replace(status, task_ids=self._tasks.names_of_running(status.task_ids))
            for status in self._replicas.status()
        ]

    def live_replicas(self) -> int:
        """Returns how many replicas could run a task, now or when they are done."""
        states = [replica.state for replica in self._replicas.status()]
        return sum(state in (ReplicaState.IDLE, ReplicaState.BUSY) for state in states)

    def _obstacle(self) -> TeleFuserError | None:
        if self._scheduler.is_closing:
            return ShuttingDown()
        if self._replicas.is_lost:
            return NoCapacity()
        if not (self._admission.is_open and self.live_replicas()):
            return PipelineNotReady()
        return None
