"""What the event loop knows without asking the disk: the tasks as last committed."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from telefuser_grpc.domain.task import Task, TaskState

MOST_ENDED = 256


class TaskMemory:
    """Keeps every active task, the latest ended ones, and the count of each state."""

    def __init__(self) -> None:
        self.deletion_count = 0
        self._active: dict[str, Task] = {}  # by age, as a change keeps the key's place
        self._ended: OrderedDict[str, Task] = OrderedDict()
        self._counts: Counter[TaskState] = Counter()

    def load(self, active: Iterable[Task], counts: Mapping[TaskState, int]) -> None:
        """Begins with what the disk holds."""
        self._active.update((task.id, task) for task in active)
        self._counts.update(counts)

    def get(self, task_id: str) -> Task | None:
        """Returns a task that is active or was seen lately."""
        if task := self._active.get(task_id):
            return task
        if task := self._ended.get(task_id):
            self._ended.move_to_end(task_id)
        return task

    def active(self) -> Sequence[Task]:
        """Returns the active tasks by age."""
        return list(self._active.values())

    def counts(self) -> dict[TaskState, int]:
        """Returns how many tasks are in each state."""
        return {state: self._counts[state] for state in TaskState}

    def count(self, changes: Mapping[TaskState, int]) -> None:
        """Takes what a commit has changed in the counts."""
        self._counts.update(changes)

    def remember(self, task: Task) -> None:
        """Keeps an ended task that was read from the disk."""
        if task.state.is_terminal:
            self._ended[task.id] = task
            self._ended.move_to_end(task.id)
            if len(self._ended) > MOST_ENDED:
                self._ended.popitem(last=False)

    def remove(self, task: Task) -> None:
        """Forgets a deleted task."""
        self.deletion_count += 1
        self._active.pop(task.id, None)
        self._ended.pop(task.id, None)

    def put(self, task: Task) -> None:
        """Takes a task's new value."""
        if task.state.is_terminal:
            self._active.pop(task.id, None)
            self.remember(task)
        else:
            self._active[task.id] = task

    def up_to_date(self, task: Task) -> Task:
        """Returns a task that was read from the disk with the progress made since its row."""
        known = self._active.get(task.id)
        if known and known.state is task.state and known.sequence > task.sequence:
            return known
        return task
