"""What the event loop knows without asking the disk: the tasks as last committed."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from telefuser_grpc.domain.task import Preview, Task, TaskEvent, TaskState

MOST_ENDED = 256
MOST_STORIES = 512
LONGEST_STORY = 8  # events; whoever watches a task right after its creation finds no more


class TaskMemory:
    """Keeps every active task, the latest ended ones, and the count of each state."""

    def __init__(self) -> None:
        self.deletion_count = 0
        self.ended_bytes = 0
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


class ShortStories:
    """Keeps all events of the tasks that have had few and that were heard of lately."""

    def __init__(self) -> None:
        self._events: OrderedDict[str, list[TaskEvent]] = OrderedDict()

    def add(self, event: TaskEvent) -> None:
        """Takes the next event of a task, and lets a story go that gets long or heavy."""
        if event.sequence == 1:
            self._events[event.task_id] = []
            if len(self._events) > MOST_STORIES:
                self._events.popitem(last=False)
        story = self._events.get(event.task_id)
        if story is None:
            return
        if event.sequence > LONGEST_STORY or isinstance(event.change, Preview):
            del self._events[event.task_id]
            return
        story.append(event)

    def after(self, task_id: str, sequence: int) -> Sequence[TaskEvent]:
        """Returns the events after a sequence, or nothing where the disk must be asked."""
        return self._events.get(task_id, [])[sequence:]

    def remove(self, task_id: str) -> None:
        """Forgets a deleted task."""
        self._events.pop(task_id, None)
