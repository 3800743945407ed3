"""What the writer asks of the database: few statements for each batch, however large it is.

Every statement gives up and takes back the interpreter lock, which is dear while the event loop is
busy; so rows travel many to a statement.
"""

import json
import sqlite3
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace

from telefuser_grpc.domain.task import ACTIVE_STATES, TaskState
from telefuser_grpc.storage.batch import RUNNING_STATES, Batch, Create, Found, Write
from telefuser_grpc.storage.rows import Row, Stored, decode_progress, decode_task

MOST_ROWS = 64

COUNTS = "SELECT state, count(*) FROM tasks GROUP BY state"
LAST_ORDINAL = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tasks'"
ACTIVE = f"""
SELECT ordinal, body FROM tasks WHERE state IN ({", ".join("?" * len(ACTIVE_STATES))})
ORDER BY ordinal
"""
LAST_SEQUENCE = "SELECT max(sequence) FROM events WHERE ordinal = ?"
LAST_PROGRESS = """
SELECT body FROM events
WHERE ordinal = ? AND sequence > ? AND kind = 'progress' ORDER BY sequence DESC LIMIT 1
"""
BY_ID = "SELECT ordinal, body FROM tasks WHERE id IN (SELECT value FROM json_each(?))"
BY_REQUEST = """
SELECT ordinal, body FROM json_each(?) AS request CROSS JOIN tasks
ON owner = request.value ->> 0 AND request_id = request.value ->> 1 AND request_id != ''
"""
PUT_TASKS = """
INSERT INTO tasks (ordinal, id, kind, owner, request_id, state, body, finished_at) VALUES {rows}
ON CONFLICT (ordinal) DO UPDATE
SET state = excluded.state, body = excluded.body, finished_at = excluded.finished_at
"""
PUT_EVENTS = "INSERT INTO events (ordinal, sequence, time, attempt, kind, body) VALUES {rows}"
PUT_OUTPUTS = "INSERT INTO outputs (name, ordinal, position) VALUES {rows}"
SIZE = """
SELECT coalesce(sum(size_bytes), 0) FROM tasks WHERE ordinal IN (SELECT value FROM json_each(?))
"""
MEASURE = """
UPDATE tasks SET size_bytes = size.value ->> 1 FROM json_each(?) AS size
WHERE ordinal = size.value ->> 0
"""
TOTAL_BYTES = """
SELECT coalesce(sum(size_bytes), 0) FROM tasks INDEXED BY tasks_by_size
WHERE finished_at IS NOT NULL
"""
DELETE = "DELETE FROM {table} WHERE ordinal IN (SELECT value FROM json_each(?))"


def counts(database: sqlite3.Connection) -> dict[TaskState, int]:
    """Returns how many tasks are in each state."""
    return {TaskState(state): count for state, count in database.execute(COUNTS)}


def total_bytes(database: sqlite3.Connection) -> int:
    """Returns what the folders of ended tasks hold, as far as they are measured."""
    (size,) = database.execute(TOTAL_BYTES).fetchone()
    return int(size)


def last_ordinal(database: sqlite3.Connection) -> int:
    """Returns the greatest ordinal that was ever given."""
    (ordinal,) = database.execute(LAST_ORDINAL).fetchone()
    return int(ordinal)


def active_tasks(database: sqlite3.Connection) -> list[Stored]:
    """Returns the tasks that have not ended, in the order of their creation."""
    rows = database.execute(ACTIVE, ACTIVE_STATES).fetchall()
    return [_up_to_date(database, _stored(row)) for row in rows]


def find(database: sqlite3.Connection, writes: Sequence[Write], active: Container[str]) -> Found:
    """Looks up what the writes name by task id and by request id, but for active tasks."""
    found = Found()
    ids = {write.task_id for write in writes if write.task_id not in active}
    creates = [write.task for write in writes if isinstance(write, Create)]
    pairs = {(task.owner, task.request_id) for task in creates if task.request_id}
    rows = database.execute(BY_ID, (json.dumps(list(ids)),)).fetchall() if ids else []
    rows += database.execute(BY_REQUEST, (json.dumps(list(pairs)),)).fetchall() if pairs else []
    for stored in map(_stored, rows):
        found.tasks[stored.task.id] = stored
        found.requests[stored.task.owner, stored.task.request_id] = stored.task.id
    return found


def flush(database: sqlite3.Connection, batch: Batch) -> None:
    """Writes a batch's rows. Deletions go first: they may free an id that the batch takes."""
    if batch.deleted:
        batch.bytes_change -= _size(database, batch.deleted)
        ordinals = (json.dumps(list(batch.deleted)),)
        for table in ("events", "outputs", "tasks"):
            database.execute(DELETE.format(table=table), ordinals)
    _put(database, PUT_TASKS, list(batch.task_rows.values()))
    _put(database, PUT_EVENTS, batch.event_rows)
    _put(database, PUT_OUTPUTS, batch.output_rows)
    if batch.sizes:
        batch.bytes_change += sum(batch.sizes.values()) - _size(database, batch.sizes)
        database.execute(MEASURE, (json.dumps(list(batch.sizes.items())),))


def _size(database: sqlite3.Connection, ordinals: Iterable[int]) -> int:
    (size,) = database.execute(SIZE, (json.dumps(list(ordinals)),)).fetchone()
    return int(size)


def _put(database: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    """Inserts rows in steps of powers of two, so that the same few statements come again."""
    start = 0
    while start < len(rows):
        size = min(MOST_ROWS, 1 << ((len(rows) - start).bit_length() - 1))
        step = rows[start : start + size]
        marks = f"({', '.join('?' * len(step[0]))})"
        sql = statement.format(rows=", ".join([marks] * size))
        database.execute(sql, [value for row in step for value in row])
        start += size


def _stored(row: Row) -> Stored:
    ordinal, body = row
    return Stored(ordinal, decode_task(body))


def _up_to_date(database: sqlite3.Connection, stored: Stored) -> Stored:
    """Adds what was appended since the row of a running task was written."""
    ordinal, task = stored
    if task.state not in RUNNING_STATES:
        return stored
    (sequence,) = database.execute(LAST_SEQUENCE, (ordinal,)).fetchone()
    row = database.execute(LAST_PROGRESS, (ordinal, task.sequence)).fetchone()
    progress = decode_progress(row[0]) if row else task.progress
    return Stored(ordinal, replace(task, sequence=sequence, progress=progress))
