"""Tasks and events as rows, and back."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from telefuser_grpc.domain.task import (
    Preview,
    Progress,
    StateChange,
    Task,
    TaskEvent,
)

Row = tuple[Any, ...]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

encode = msgspec.json.Encoder().encode
decode_task = msgspec.json.Decoder(Task).decode
decode_progress = msgspec.json.Decoder(Progress).decode

_KINDS: dict[type, str] = {StateChange: "state", Progress: "progress", Preview: "preview"}
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(change) for change, kind in _KINDS.items()
}


class Stored(NamedTuple):
    """A task and its place in the order of creation."""

    ordinal: int
    task: Task


def task_row(stored: Stored) -> Row:
    """Returns a row of `tasks`."""
    ordinal, task = stored
    key = (ordinal, task.id, task.kind, task.owner, task.request_id, task.state)
    return (*key, encode(task), finish(task))


def finish(task: Task) -> int | None:
    """Returns when a task has ended, in microseconds of Unix time."""
    if not task.state.is_terminal:
        return None
    return microseconds(task.finished_at or task.created_at)


def microseconds(time: datetime) -> int:
    """Returns microseconds of Unix time."""
    return (time - EPOCH) // timedelta(microseconds=1)


def event_row(ordinal: int, event: TaskEvent) -> Row:
    """Returns a row of `events`."""
    kind = _KINDS[type(event.change)]
    time = event.time.isoformat()
    return (ordinal, event.sequence, time, event.attempt, kind, encode(event.change))


def output_rows(stored: Stored) -> list[Row]:
    """Returns the rows of `outputs`: each artifact by its path and by its file name."""
    return [
        (name, stored.ordinal, position)
        for position, artifact in enumerate(stored.task.artifacts)
        for name in sorted({artifact.name, artifact.filename})
    ]


def event_of(task_id: str, row: Row) -> TaskEvent:
    """Returns the event of a row without its ordinal."""
    sequence, time, attempt, kind, body = row
    return TaskEvent(
        task_id=task_id,
        sequence=sequence,
        time=datetime.fromisoformat(time),
        attempt=attempt,
        change=_DECODERS[kind].decode(body),
    )
