"""What a watcher has been told of a task, in few words."""

from collections.abc import Iterable

from telefuser_grpc.domain.task import Preview, Progress, StateChange, TaskEvent, TaskState

Word = TaskState | int | str


def words(events: Iterable[TaskEvent]) -> list[Word]:
    """Returns the state of each change, the step of each progress, "preview" for each picture."""
    return [_word(event) for event in events]


def sequences(events: Iterable[TaskEvent]) -> list[int]:
    """Returns the numbers of events."""
    return [event.sequence for event in events]


def is_gapless(events: Iterable[TaskEvent]) -> bool:
    """Tells whether events count from 1 without a gap."""
    numbers = sequences(events)
    return numbers == list(range(1, len(numbers) + 1))


def _word(event: TaskEvent) -> Word:
    match event.change:
        case StateChange(state=state):
            return state
        case Progress(step=step):
            return step
        case Preview():
            return "preview"
