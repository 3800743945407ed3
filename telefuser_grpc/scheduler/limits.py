"""What bounds the queue and a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class NoCapacityPolicy(StrEnum):
    """What becomes of waiting tasks when every replica is dead and none will be started again."""

    FAIL = "fail"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the queue and of a run.

    Attributes:
        queue: The most tasks that may wait and run together.
        attempts: How often a task is tried when the process that runs it dies.
        task_seconds: How long a run may take, and as long again for its encoding.
        stall_seconds: How long a run may be silent between two steps, at least.
        cancel_seconds: How long a replica may take to stop before it is killed.
        drain_seconds: How long running tasks may go on when the server stops.
        batch_size: The most tasks that are made together; 0 for what the contract says.
        together: How many tasks may run at once whose outputs are to lie in a folder of that name.
        no_capacity: Whether tasks that no replica is left for fail, or wait for the next server.
    """

    queue: int = 10
    attempts: int = 2
    task_seconds: float = 3600.0
    stall_seconds: float = 60.0
    cancel_seconds: float = 5.0
    drain_seconds: float = 5.0
    batch_size: int = 0
    together: Mapping[str, int] = field(default_factory=dict)
    no_capacity: NoCapacityPolicy = NoCapacityPolicy.FAIL
