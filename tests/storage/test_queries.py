"""Every statement finds its rows by an index, so its cost does not grow with what is stored."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from telefuser_grpc.domain.task import ACTIVE_STATES, TaskState
from telefuser_grpc.scheduler.ports import TaskQuery
from telefuser_grpc.storage import endings, reader, statements
from telefuser_grpc.storage.schema import open_for_writing

QUERIES = [
    TaskQuery(states=states, kinds=kinds, owner=owner, oldest_first=oldest_first)
    for states in ((), (TaskState.FAILED,), tuple(TaskState))
    for kinds in ((), ("t2v",), ("t2v", "i2v"))
    for owner in ("", "ann")
    for oldest_first in (False, True)
]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_for_writing(tmp_path / "tasks.db")) as database:
        yield database


def plan(database: sqlite3.Connection, statement: str) -> list[str]:
    rows = database.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * statement.count("?"))
    return [row[3] for row in rows]


def full_scans(steps: list[str]) -> list[str]:
    return [step for step in steps if re.match(r"SCAN (tasks|events|outputs)", step)]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_each_page_is_the_end_of_index_ranges(
    database: sqlite3.Connection, query: TaskQuery
) -> None:
    for statement, _ in reader._ranges(query):
        (step,) = plan(database, statement)  # one step: no sorting

        behind = ">" if query.oldest_first else "<"
        if query == TaskQuery(oldest_first=query.oldest_first):
            assert step == f"SEARCH tasks USING INTEGER PRIMARY KEY (rowid{behind}?)"
        else:
            assert "USING COVERING INDEX" in step
            assert step.endswith(f"state=? AND ordinal{behind}?)")


@pytest.mark.parametrize(
    "statement",
    [
        reader.BY_ID,
        reader.BY_REQUEST,
        reader.BY_ORDINALS,
        reader.ORDINAL,
        reader.OUTPUT,
        reader.EVENTS,
        statements.ACTIVE,
        statements.BY_ID,
        statements.BY_REQUEST,
        statements.LAST_SEQUENCE,
        statements.LAST_PROGRESS,
        statements.SIZE,
        statements.MEASURE,
        endings.OLDEST,
        endings.LARGEST,
        endings.UNMEASURED,
        endings.STATES,
        *(statements.DELETE.format(table=table) for table in ("tasks", "events", "outputs")),
    ],
)
def test_no_statement_scans_a_table(database: sqlite3.Connection, statement: str) -> None:
    steps = plan(database, statement)

    assert steps
    assert full_scans(steps) == []


def test_history_and_outputs_come_in_order_without_sorting(database: sqlite3.Connection) -> None:
    for statement in (reader.EVENTS, reader.OUTPUT, statements.LAST_PROGRESS):
        assert not [step for step in plan(database, statement) if "TEMP B-TREE" in step]


def test_active_tasks_are_found_without_reading_ended_ones(database: sqlite3.Connection) -> None:
    steps = plan(database, statements.ACTIVE)

    assert len(ACTIVE_STATES) == statements.ACTIVE.count("?")
    assert any("tasks_by_state (state=?)" in step for step in steps)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (endings.OLDEST, "tasks_by_end (state=? AND finished_at<?)"),
        (endings.LARGEST, "tasks_by_size (state=? AND size_bytes>?)"),
        (endings.UNMEASURED, "tasks_by_size (state=? AND size_bytes=?)"),
    ],
)
def test_ended_tasks_are_one_range_of_an_index_without_sorting(
    database: sqlite3.Connection, statement: str, index: str
) -> None:
    (step,) = plan(database, statement)

    assert step == f"SEARCH tasks USING INDEX {index}"


def test_total_of_bytes_is_read_from_an_index_alone(database: sqlite3.Connection) -> None:
    (step,) = plan(database, statements.TOTAL_BYTES)

    assert step == "SCAN tasks USING COVERING INDEX tasks_by_size"
