"""The one thread that writes: it takes all that waits, commits once, and tells."""

import asyncio
import queue
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import NamedTuple, TypeVar

import structlog

from telefuser_grpc.domain.task import Task, TaskEvent, TaskState
from telefuser_grpc.errors import ShuttingDown, StorageFull
from telefuser_grpc.storage import statements
from telefuser_grpc.storage.batch import Append, Batch, Delete, Save, Write
from telefuser_grpc.storage.rows import Stored
from telefuser_grpc.storage.schema import held, open_for_writing
from telefuser_grpc.storage.spare import Spare

logger = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Opened:
    """What a database held when it was opened: active tasks by age, and ended ones counted."""

    active: Sequence[Task]
    counts: Mapping[TaskState, int]
    ended_bytes: int


@dataclass(frozen=True, slots=True)
class Commit:
    """What one transaction has changed, in order."""

    tasks: Sequence[Task]
    events: Sequence[TaskEvent]
    deleted: Sequence[Task]
    count_changes: Mapping[TaskState, int]
    bytes_change: int


class Request(NamedTuple):
    """A write, and who waits for it; nobody waits for an `Append`."""

    write: Write
    future: asyncio.Future[Task] | None


Outcome = tuple[asyncio.Future[Task], Task | Exception]


class Writer:
    """Owns the writing connection and the thread that uses it.

    `publish` is called in the event loop, once for each commit and before the callers learn that
    their writes are done.
    """

    def __init__(self, path: Path, publish: Callable[[Commit], None]) -> None:
        self._path = path
        self._publish = publish
        self._spare = Spare(path.with_name(f"{path.name}.spare"))
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._thread: Thread | None = None
        self._active: dict[str, Stored] = {}
        self._last_ordinal = 0
        self._closing = False
        self.commit_count = 0

    async def open(self) -> Opened:
        """Starts the thread and returns what the database holds.

        Raises:
            UnusableDatabase
        """
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[Opened] = self._loop.create_future()
        self._thread = Thread(target=self._run, args=(opened,), name="task-writer", daemon=True)
        self._thread.start()
        return await opened

    async def close(self) -> None:
        """Refuses new writes, finishes those that wait, and ends the thread."""
        self._closing = True
        self._queue.put(None)
        if self._thread:
            await asyncio.to_thread(self._thread.join)

    async def submit(self, write: Write) -> Task:
        """Returns when the write is committed, or raises what it met."""
        if self._closing:
            raise ShuttingDown
        future: asyncio.Future[Task] = self._loop.create_future()
        self._queue.put(Request(write, future))
        return await future

    def offer(self, write: Append) -> None:
        """Writes without telling anyone how it went."""
        if not self._closing:
            self._queue.put(Request(write, None))

    def _run(self, opened: asyncio.Future[Opened]) -> None:
        try:
            with held(self._path), closing(open_for_writing(self._path)) as database:
                self._spare.hold()
                self._tell(_resolve, [(opened, self._load(database))])
                while requests := self._take():
                    self._serve(database, requests)
        except Exception as error:  # the thread's border: whoever opens the store is told
            self._tell(_resolve, [(opened, error)])

    def _load(self, database: sqlite3.Connection) -> Opened:
        active = statements.active_tasks(database)
        self._active = {stored.task.id: stored for stored in active}
        self._last_ordinal = statements.last_ordinal(database)
        return Opened(
            [stored.task for stored in active],
            statements.counts(database),
            statements.total_bytes(database),
        )

    def _take(self) -> list[Request]:
        """Waits for a request and returns it with all that wait behind it; none at the end."""
        if (first := self._queue.get()) is None:
            return []
        requests = [first]
        with suppress(queue.Empty):
            while (request := self._queue.get_nowait()) is not None:
                requests.append(request)
            self._queue.put(None)  # the end comes after this batch
        return requests

    def _serve(self, database: sqlite3.Connection, requests: Sequence[Request]) -> None:
        """Writes a batch; on a full disk only what is owed, into the space kept for that."""
        self._spare.hold_again()
        owed = [each for each in requests if _is_owed(each.write)]
        if not self._spare.is_spent:
            fault = self._try(database, requests)
            if not (owed and isinstance(fault, StorageFull)):
                self._refuse(requests, fault)
                return
            logger.warning("disk is full: no task is taken, what happens to others is written")
            self._spare.give_up()
        self._refuse([each for each in requests if not _is_owed(each.write)], StorageFull())
        if owed:
            self._refuse(owed, self._try(database, owed))

    def _try(self, database: sqlite3.Connection, requests: Sequence[Request]) -> Exception | None:
        """Commits requests and tells who waits; returns what went wrong instead, if anything."""
        try:
            commit, outcomes = self._commit(database, requests)
        except (
            Exception
        ) as error:  # the batch's border: each caller is told, the next may do better
            logger.error("tasks could not be written", writes=len(requests), error=str(error))
            return StorageFull() if isinstance(error, sqlite3.Error) else error
        self._tell(self._announce, commit, outcomes)
        return None

    def _refuse(self, requests: Sequence[Request], fault: Exception | None) -> None:
        if fault:
            self._tell(_resolve, [(each.future, fault) for each in requests if each.future])

    def _commit(
        self, database: sqlite3.Connection, requests: Sequence[Request]
    ) -> tuple[Commit, list[Outcome]]:
        database.execute("BEGIN IMMEDIATE")
        try:
            writes = [request.write for request in requests]
            found = statements.find(database, writes, self._active)
            batch = Batch(self._active, found, last_ordinal=self._last_ordinal)
            outcomes = [(each.future, _outcome(batch, each.write)) for each in requests]
            statements.flush(database, batch)
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        self.commit_count += 1
        return self._adopt(batch), [(future, result) for future, result in outcomes if future]

    def _adopt(self, batch: Batch) -> Commit:
        self._last_ordinal = batch.last_ordinal
        for task_id, stored in batch.staged.items():
            if stored is None or stored.task.state.is_terminal:
                self._active.pop(task_id, None)
            else:
                self._active[task_id] = stored
        tasks = [stored.task for stored in batch.staged.values() if stored]
        return Commit(
            tasks,
            batch.events,
            list(batch.deleted.values()),
            batch.count_changes,
            batch.bytes_change,
        )

    def _announce(self, commit: Commit, outcomes: Iterable[Outcome]) -> None:
        self._publish(commit)
        _resolve(outcomes)

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed, nobody listens
            self._loop.call_soon_threadsafe(callback, *args)


def _is_owed(write: Write) -> bool:
    """Tells whether a write records what has happened already, or makes room, and adds no task."""
    return isinstance(write, Save | Delete)


def _outcome(batch: Batch, write: Write) -> Task | Exception:
    try:
        return batch.apply(write)
    except Exception as error:  # raised again where the caller waits
        return error


def _resolve(outcomes: Iterable[tuple[asyncio.Future[T], T | Exception]]) -> None:
    for future, result in outcomes:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
