"""What is known of one replica: a process with one loaded pipeline on its own devices."""

from dataclasses import dataclass
from enum import StrEnum


class ReplicaState(StrEnum):
    """What a replica does."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStatus:
    """A replica at one moment.

    Attributes:
        devices: Opaque tokens of the devices that it may see; empty on the CPU.
        task_ids: What it runs: several where they are made together.
        restarts: How often its process was started again after a death.
        recycles: How often its process was replaced because of its age or memory.
        last_error: Why it last died or could not start, "" when it never did.
    """

    id: int
    state: ReplicaState
    devices: tuple[str, ...] = ()
    task_ids: tuple[str, ...] = ()
    restarts: int = 0
    recycles: int = 0
    pid: int = 0
    last_error: str = ""

    @property
    def task_id(self) -> str:
        """The first task that it runs, "" when it runs none."""
        return next(iter(self.task_ids), "")
