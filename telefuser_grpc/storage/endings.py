"""What a clean-up asks of the database: ended tasks by their end and by their size.

Each question is a few index ranges, one for each state, so that it costs what it returns.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence

from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.scheduler.ports import EndedTask

FOR_EVER = 2**63 - 1

OLDEST = """
SELECT finished_at, ordinal, id, size_bytes FROM tasks
WHERE state = ? AND finished_at < ? ORDER BY finished_at, ordinal LIMIT ?
"""
LARGEST = """
SELECT -size_bytes, ordinal, id, size_bytes FROM tasks
WHERE state = ? AND size_bytes > ? AND finished_at IS NOT NULL
ORDER BY size_bytes DESC, ordinal DESC LIMIT ?
"""
UNMEASURED = """
SELECT 0, ordinal, id, size_bytes FROM tasks
WHERE state = ? AND size_bytes IS NULL AND finished_at IS NOT NULL ORDER BY ordinal LIMIT ?
"""
STATES = "SELECT id, state FROM tasks WHERE id IN (SELECT value FROM json_each(?))"


def oldest(
    database: sqlite3.Connection, states: Iterable[TaskState], before: int, limit: int
) -> list[EndedTask]:
    """Returns tasks that ended before a time, the first to end first."""
    return _ranges(database, OLDEST, [(state, before, limit) for state in states], limit)


def largest(
    database: sqlite3.Connection, states: Iterable[TaskState], above_bytes: int, limit: int
) -> list[EndedTask]:
    """Returns tasks whose folders hold more than some bytes, the largest first."""
    return _ranges(database, LARGEST, [(state, above_bytes, limit) for state in states], limit)


def unmeasured(database: sqlite3.Connection, limit: int) -> list[EndedTask]:
    """Returns ended tasks whose size is not known."""
    ends = [state for state in TaskState if state.is_terminal]
    return _ranges(database, UNMEASURED, [(state, limit) for state in ends], limit)


def states_of(database: sqlite3.Connection, task_ids: Sequence[str]) -> dict[str, TaskState]:
    """Returns the states of those of the tasks that are stored."""
    rows = database.execute(STATES, (json.dumps(list(task_ids)),))
    return {task_id: TaskState(state) for task_id, state in rows}


def _ranges(
    database: sqlite3.Connection,
    statement: str,
    keys: Iterable[tuple[str | int, ...]],
    limit: int,
) -> list[EndedTask]:
    rows = [row for key in keys for row in database.execute(statement, key)]
    return [EndedTask(id=each[2], size_bytes=each[3]) for each in sorted(rows)[:limit]]
