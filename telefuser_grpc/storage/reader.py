"""The one thread that reads what is not in memory."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import Task, TaskEvent, TaskState
from telefuser_grpc.errors import TaskNotFound
from telefuser_grpc.scheduler.ports import EndedTask, TaskPage, TaskQuery
from telefuser_grpc.storage import endings
from telefuser_grpc.storage.listing import ordinal_before, page_token
from telefuser_grpc.storage.rows import Row, decode_task, event_of
from telefuser_grpc.storage.schema import open_for_reading

T = TypeVar("T")

EVENTS_BYTES = 64 * 1024  # what one watcher may hold of the history

BY_ID = "SELECT body FROM tasks WHERE id = ?"
BY_REQUEST = "SELECT body FROM tasks WHERE owner = ? AND request_id = ? AND request_id != ''"
BY_ORDINALS = """
SELECT body FROM tasks WHERE ordinal IN (SELECT value FROM json_each(?)) ORDER BY ordinal
"""
ORDINAL = "SELECT ordinal FROM tasks WHERE id = ?"
OUTPUT = """
SELECT body, position FROM outputs JOIN tasks USING (ordinal)
WHERE name = ? AND ? IN ('', owner) ORDER BY ordinal DESC, position DESC LIMIT 1
"""
EVENTS = """
SELECT sequence, time, attempt, events.kind, events.body FROM tasks JOIN events USING (ordinal)
WHERE id = ? AND sequence > ? ORDER BY sequence
"""


class Reader:
    """Owns the reading connection and the thread that uses it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="task-reader")

    async def open(self) -> None:
        """Opens the connection; the writer has made the database."""
        self._database = await self._call(lambda: open_for_reading(self._path))

    async def close(self) -> None:
        """Closes the connection after the reads that wait."""
        await self._call(self._database.close)
        self._thread.shutdown()

    async def task(self, task_id: str) -> Task | None:
        """Returns a task by its id."""
        return await self._call(lambda: self._task(BY_ID, task_id))

    async def request(self, owner: str, request_id: str) -> Task | None:
        """Returns the task that was created under a request id."""
        return await self._call(lambda: self._task(BY_REQUEST, owner, request_id))

    async def page(self, query: TaskQuery) -> TaskPage:
        """Returns a page of tasks. Raises InvalidPageToken, TaskNotFound."""
        place = ordinal_before(query)
        return await self._call(lambda: self._page(query, place))

    async def output(self, name: str, owner: str) -> Artifact | None:
        """Returns the newest artifact with a path or file name, of an owner if one is named."""
        return await self._call(lambda: self._output(name, owner))

    async def events(self, task_id: str, after_sequence: int) -> Sequence[TaskEvent]:
        """Returns the next events of a task, at least one if there are any."""
        return await self._call(lambda: self._events(task_id, after_sequence))

    async def oldest_ended(
        self, states: Collection[TaskState], before: int, limit: int
    ) -> Sequence[EndedTask]:
        """Returns tasks that ended before a time, in microseconds of Unix time."""
        return await self._call(lambda: endings.oldest(self._database, states, before, limit))

    async def largest_ended(
        self, states: Collection[TaskState], above_bytes: int, limit: int
    ) -> Sequence[EndedTask]:
        """Returns ended tasks whose folders hold more than some bytes."""
        return await self._call(lambda: endings.largest(self._database, states, above_bytes, limit))

    async def unmeasured(self, limit: int) -> Sequence[EndedTask]:
        """Returns ended tasks whose size is not known."""
        return await self._call(lambda: endings.unmeasured(self._database, limit))

    async def states(self, task_ids: Sequence[str]) -> Mapping[str, TaskState]:
        """Returns the states of those of the tasks that are stored."""
        return await self._call(lambda: endings.states_of(self._database, task_ids))

    async def _call(self, read: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, read)

    def _task(self, statement: str, *key: str) -> Task | None:
        row = self._database.execute(statement, key).fetchone()
        return decode_task(row[0]) if row else None

    def _page(self, query: TaskQuery, place: int) -> TaskPage:
        with _snapshot(self._database):
            if query.after_id and not query.page_token:
                place = self._ordinal(query.after_id)
            ordinals = self._ordinals(query, place)
            shown = ordinals[: query.page_size]
            rows = self._database.execute(BY_ORDINALS, (json.dumps(shown),)).fetchall()
        more = len(ordinals) > len(shown)
        return TaskPage(
            tasks=tuple(decode_task(body) for (body,) in rows[:: 1 if query.oldest_first else -1]),
            next_page_token=page_token(query, shown[-1]) if more else "",
        )

    def _ordinal(self, task_id: str) -> int:
        row = self._database.execute(ORDINAL, (task_id,)).fetchone()
        if row is None:
            raise TaskNotFound(task_id)
        return int(row[0])

    def _ordinals(self, query: TaskQuery, place: int) -> list[int]:
        """Returns the page's ordinals in their order, and more if there are more.

        Each combination of filters is a range of an index, read from its end; so the cost is that
        of the pages and not of the tasks that match.
        """
        found: list[int] = []
        for statement, key in _ranges(query):
            rows = self._database.execute(statement, (*key, place, query.page_size + 1))
            found += [ordinal for (ordinal,) in rows]
        return sorted(found, reverse=not query.oldest_first)

    def _output(self, name: str, owner: str) -> Artifact | None:
        row = self._database.execute(OUTPUT, (name, owner)).fetchone()
        return decode_task(row[0]).artifacts[row[1]] if row else None

    def _events(self, task_id: str, after_sequence: int) -> Sequence[TaskEvent]:
        rows = self._database.execute(EVENTS, (task_id, after_sequence))
        events = []
        size = 0
        for row in rows:
            events.append(event_of(task_id, row))
            size += len(row[-1])
            if size > EVENTS_BYTES:
                break
        rows.close()  # else the read would go on and hold back the checkpoints
        return events


def _ranges(query: TaskQuery) -> Iterator[tuple[str, Row]]:
    owners = (query.owner,) if query.owner else ()
    kinds = sorted(set(query.kinds))
    states = sorted(set(query.states))
    if not (owners or kinds or states):
        yield _range_statement(query), ()
        return
    for state in states or TaskState:
        if kinds:
            columns = (*(("owner",) if owners else ()), "kind", "state")
            statement = _range_statement(query, *columns)
            yield from ((statement, (*owners, kind, state)) for kind in kinds)
        else:
            columns = (*(("owner",) if owners else ()), "state")
            yield _range_statement(query, *columns), (*owners, state)


def _range_statement(query: TaskQuery, *columns: str) -> str:
    behind, order = (">", "ASC") if query.oldest_first else ("<", "DESC")
    conditions = " AND ".join([*(f"{column} = ?" for column in columns), f"ordinal {behind} ?"])
    return f"SELECT ordinal FROM tasks WHERE {conditions} ORDER BY ordinal {order} LIMIT ?"


@contextmanager
def _snapshot(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN")
    try:
        yield
    finally:
        database.execute("COMMIT")
