"""The database file: its tables, its version, and the one server that may hold it."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from telefuser_grpc.storage.rows import decode_task, finish

VERSION = 2
APPLICATION_ID = 0x7E1EF05E  # tells the file from other programs' databases
BUSY_TIMEOUT_SECONDS = 10.0

# When a task has ended, in microseconds of Unix time, and what its folder holds, once measured.
ENDINGS = """
CREATE INDEX tasks_by_end ON tasks (state, finished_at, ordinal) WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_by_size ON tasks (state, size_bytes, ordinal, finished_at)
WHERE finished_at IS NOT NULL;
"""

# The ordinal orders tasks by their creation and is never given twice. Indexes of listings end with
# it, so a page of a listing is one range of an index whatever is stored.
TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE tasks (
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    request_id TEXT NOT NULL,
    state TEXT NOT NULL,
    body BLOB NOT NULL,
    finished_at INTEGER,
    size_bytes INTEGER
);
CREATE INDEX tasks_by_state ON tasks (state, ordinal);
CREATE INDEX tasks_by_kind ON tasks (kind, state, ordinal);
CREATE INDEX tasks_by_owner ON tasks (owner, state, ordinal);
CREATE INDEX tasks_by_owner_and_kind ON tasks (owner, kind, state, ordinal);
CREATE UNIQUE INDEX tasks_by_request ON tasks (owner, request_id) WHERE request_id != '';
CREATE TABLE events (
    ordinal INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    time TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (ordinal, sequence)
) WITHOUT ROWID;
CREATE TABLE outputs (
    name TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (name, ordinal, position)
) WITHOUT ROWID;
CREATE INDEX outputs_by_task ON outputs (ordinal);
{ENDINGS}
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""

FROM_1_TO_2 = f"""
BEGIN IMMEDIATE;
ALTER TABLE tasks ADD COLUMN finished_at INTEGER;
ALTER TABLE tasks ADD COLUMN size_bytes INTEGER;
UPDATE tasks SET finished_at = finish(body);
{ENDINGS}
PRAGMA user_version = 2;
COMMIT;
"""


class UnusableDatabase(Exception):
    """The file cannot be opened as this service's database; the message says why."""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Makes sure that no other server uses the database, until the end of the block.

    The lock dies with its process, however that ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(
        path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise UnusableDatabase(f"{path.name} is in use by another server") from error
    finally:
        os.close(lock)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Opens the database for its one writer, and makes the tables in a new one.

    Raises:
        UnusableDatabase: The file is damaged, another program's, or of a newer version.
    """
    with ExitStack() as stack:
        try:
            database = stack.enter_context(closing(connect(path)))
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA journal_size_limit = 67108864")
            _ensure_tables(database, path.name)
        except sqlite3.DatabaseError as error:
            raise UnusableDatabase(f"{path.name} is not a usable database: {error}") from error
        stack.pop_all()
    return database


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Opens a database that the writer has already opened."""
    database = connect(path)
    database.execute("PRAGMA query_only = ON")
    return database


def connect(path: Path) -> sqlite3.Connection:
    """Opens a connection that leaves transactions to its user."""
    return sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, cached_statements=256
    )


def _ensure_tables(database: sqlite3.Connection, name: str) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    if application not in (0, APPLICATION_ID):
        raise UnusableDatabase(f"{name} belongs to another program")
    if version > VERSION:
        raise UnusableDatabase(
            f"{name} was written by a newer server: its schema is {version}, "
            f"this server knows up to {VERSION}; start the newer server or use another folder"
        )
    if version == 0:
        database.executescript(TABLES)
    if version == 1:
        _migrate(database)


def _migrate(database: sqlite3.Connection) -> None:
    database.create_function("finish", 1, lambda body: finish(decode_task(body)))
    try:
        database.executescript(FROM_1_TO_2)
    except sqlite3.DatabaseError:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
