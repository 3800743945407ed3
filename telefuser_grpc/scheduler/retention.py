"""How long tasks and files are kept."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from telefuser_grpc.domain.task import TaskState

LONGEST_SECONDS = 50 * 365 * 86400.0


class Persistence(StrEnum):
    """Whether ended tasks outlive the next pass."""

    PERSISTENT = "persistent"
    EPHEMERAL = "ephemeral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is kept. Bounds of 0 are off; what goes first is what ended first.

    Attributes:
        keep_count: The most ended tasks, protected ones not counted.
        persistence: EPHEMERAL removes every ended task at the next pass.
        retention_seconds: How long a task is kept after its end.
        tmp_retention_seconds: How long uploads, scratch and `.part` files are kept untouched.
        interval_seconds: The time between two passes.
        max_total_bytes: What the folders of ended tasks may hold together.
        max_task_bytes: What the folder of an ended task may hold to be kept at all.
        preserve_failed_outputs: Protects failed tasks from all of the above.
        reserve_bytes: What must stay free on the disk for new tasks to be admitted.
    """

    keep_count: int = 1000
    persistence: Persistence = Persistence.PERSISTENT
    retention_seconds: float = 604_800.0
    tmp_retention_seconds: float = 3600.0
    interval_seconds: float = 3600.0
    max_total_bytes: int = 0
    max_task_bytes: int = 0
    preserve_failed_outputs: bool = False
    reserve_bytes: int = 0

    @property
    def removable(self) -> tuple[TaskState, ...]:
        """The states in which a task may be removed."""
        kept = {TaskState.FAILED} if self.preserve_failed_outputs else set()
        return tuple(state for state in TaskState if state.is_terminal and state not in kept)

    @property
    def measures(self) -> bool:
        """Tells whether the sizes of tasks matter."""
        return bool(self.max_total_bytes or self.max_task_bytes)

    def expiry(self, now: datetime) -> datetime | None:
        """Returns the time before which tasks must have ended to be removed at a pass."""
        if self.persistence is Persistence.EPHEMERAL:
            return datetime.max.replace(tzinfo=UTC)
        if self.retention_seconds:
            return ago(now, self.retention_seconds)
        return None


def ago(now: datetime, seconds: float) -> datetime:
    """Returns the time so many seconds before, within what clocks can say."""
    return now - timedelta(seconds=min(seconds, LONGEST_SECONDS))
