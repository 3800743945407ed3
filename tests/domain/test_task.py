"""Tasks: which state may follow which, and what each change writes down."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from telefuser_grpc.domain.artifact import Artifact, MediaFacts
from telefuser_grpc.domain.job import RunReport
from telefuser_grpc.domain.task import (
    ACTIVE_STATES,
    Progress,
    StateChange,
    Task,
    TaskError,
    TaskEvent,
    TaskState,
)
from telefuser_grpc.errors import ReplicaDied, TaskCancelled, TaskTimeout

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
LATER = NOW + timedelta(seconds=9)
TERMINAL = {TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED}
ALLOWED = {
    ("pending", "processing"),
    ("pending", "failed"),
    ("pending", "cancelled"),
    ("processing", "pending"),
    ("processing", "cancelling"),
    ("processing", "cancelled"),
    ("processing", "completed"),
    ("processing", "failed"),
    ("cancelling", "cancelled"),
}
FACTS = MediaFacts(content_type="video/mp4", width=8, height=6, frame_count=4)
ARTIFACT = Artifact(
    task_id="task_1",
    path="tasks/task_1/outputs/videos/sub/a.mp4",
    size_bytes=9,
    sha256="0" * 64,
    created_at=NOW,
    facts=FACTS,
)


def pending() -> Task:
    return Task(id="task_1", kind="t2v", created_at=NOW)


def running() -> Task:
    return pending().start(3, NOW)


@pytest.mark.parametrize(("before", "after"), list(product(TaskState, repeat=2)))
def test_only_the_drawn_edges_are_allowed(before: TaskState, after: TaskState) -> None:
    assert before.may_become(after) == ((before, after) in ALLOWED)


@pytest.mark.parametrize("state", TaskState)
def test_a_state_without_a_way_out_is_terminal(state: TaskState) -> None:
    assert state.is_terminal == (state in TERMINAL)
    assert (state in ACTIVE_STATES) == (state not in TERMINAL)


def test_a_start_counts_the_attempt_and_forgets_the_last_one() -> None:
    waiting = running().requeue(ReplicaDied("the process is gone"))

    started = waiting.start(1, LATER)

    assert started.state is TaskState.PROCESSING
    assert started.attempt == 2
    assert started.replica == 1
    assert started.started_at == LATER
    assert started.error is None


def test_a_death_is_counted_and_told_while_the_task_waits_again() -> None:
    waiting = running().requeue(ReplicaDied("the process is gone"))

    assert waiting.state is TaskState.PENDING
    assert waiting.crashes == 1
    assert waiting.error == TaskError(reason="REPLICA_DIED", message="the process is gone")


def test_a_stop_of_the_server_is_no_crash_of_the_task() -> None:
    waiting = running().requeue()

    assert waiting.crashes == 0
    assert waiting.error is None
    assert waiting.attempt == 1


def test_a_completed_task_has_what_the_run_made_and_measured() -> None:
    report = RunReport(inference_seconds=1.5, peak_memory_mib=20.0)

    done = running().complete((ARTIFACT,), report, LATER)

    assert done.state is TaskState.COMPLETED
    assert done.artifacts == (ARTIFACT,)
    assert done.finished_at == LATER
    assert (done.inference_seconds, done.peak_memory_mib) == (1.5, 20.0)


def test_a_failed_task_keeps_the_cause() -> None:
    failed = running().fail(TaskTimeout(60), LATER)

    assert failed.state is TaskState.FAILED
    assert failed.error == TaskError(reason="TASK_TIMEOUT", message="Task processing timeout")
    assert failed.finished_at == LATER


def test_a_running_task_is_cancelled_by_way_of_cancelling() -> None:
    stopping = running().cancelling()

    stopped = stopping.cancel(TaskCancelled(), LATER)

    assert stopping.finished_at is None
    assert stopped.state is TaskState.CANCELLED
    assert stopped.error is not None
    assert stopped.error.reason == "CANCELLED"


def test_a_change_makes_a_new_value() -> None:
    task = pending()

    task.start(0, NOW)

    assert task == pending()


def test_a_terminal_task_cannot_start_again() -> None:
    failed = pending().fail(TaskTimeout(60), LATER)

    with pytest.raises(AssertionError, match="failed to processing"):
        failed.start(0, LATER)


@pytest.mark.parametrize(
    ("change", "is_last"),
    [
        (StateChange(state=TaskState.COMPLETED), True),
        (StateChange(state=TaskState.CANCELLING), False),
        (Progress(step=4, steps=4), False),
    ],
)
def test_only_a_terminal_state_is_the_last_event(
    change: StateChange | Progress, is_last: bool
) -> None:
    event = TaskEvent(task_id="task_1", sequence=1, time=NOW, attempt=1, change=change)

    assert event.is_last is is_last


def test_an_artifact_is_named_by_its_path() -> None:
    assert ARTIFACT.id == "local:tasks/task_1/outputs/videos/sub/a.mp4"
    assert ARTIFACT.filename == "a.mp4"
    assert ARTIFACT.name == "sub/a.mp4"
