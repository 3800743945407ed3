"""Fills a task database with tasks of the past, faster than they could be run."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from telefuser_grpc.domain.task import StateChange, Task, TaskEvent
from telefuser_grpc.errors import InternalFault
from telefuser_grpc.storage.rows import Stored, event_row, task_row
from telefuser_grpc.storage.schema import open_for_writing

PUT_TASKS = (
    "INSERT INTO tasks (ordinal, id, kind, owner, request_id, state, body, finished_at) VALUES"
)
KEPT: Mapping[str, Any] = {"artifact_preserve_failed_outputs": True, "cleanup_keep_count": 10_000}
"""Settings of a service that removes none of these tasks."""
PUT_EVENTS = "INSERT INTO events (ordinal, sequence, time, attempt, kind, body) VALUES"


def store(folder: Path, first: int, last: int, *, pending: int = 0) -> None:
    """Adds the tasks numbered from `first` to `last` to a stopped service's data.

    All have failed but the last `pending` ones, which wait.
    """
    database_file = folder / "cache" / "tasks.db"
    database_file.parent.mkdir(parents=True, exist_ok=True)
    lives = [_life(number, ended=number <= last - pending) for number in range(first, last + 1)]
    tasks = [task_row(Stored(number, life[-1])) for number, life in enumerate(lives, first)]
    events = [
        event_row(number, _event(task)) for number, life in enumerate(lives, first) for task in life
    ]
    with closing(open_for_writing(database_file)) as database:
        database.execute("BEGIN")
        database.executemany(f"{PUT_TASKS} (?, ?, ?, ?, ?, ?, ?, ?)", tasks)
        database.executemany(f"{PUT_EVENTS} (?, ?, ?, ?, ?, ?)", events)
        database.execute("COMMIT")


def task_id(number: int) -> str:
    """Returns the id of a stored task."""
    return f"stored_{number}"


def _life(number: int, *, ended: bool) -> list[Task]:
    now = datetime.now(UTC)
    pending = Task(
        id=task_id(number),
        kind="t2v",
        created_at=now,
        media_type="none",
        fields={"prompt": "a red circle"},
        sequence=1,
    )
    if not ended:
        return [pending]
    started = replace(pending.start(0, now), sequence=2)
    return [pending, started, replace(started.fail(InternalFault(), now), sequence=3)]


def _event(task: Task) -> TaskEvent:
    return TaskEvent(
        task_id=task.id,
        sequence=task.sequence,
        time=task.created_at,
        attempt=task.attempt,
        change=StateChange(state=task.state),
    )
