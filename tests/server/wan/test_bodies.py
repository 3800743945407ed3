"""A task as the Wan2.1 interface tells of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import (
    NoCapacity,
    OutOfMemory,
    OutputInvalid,
    ReplicaDied,
    TaskStalled,
    TaskTimeout,
    TeleFuserError,
)
from telefuser_grpc.server.wan.bodies import status_body
from tests.fakes.builders import NOW, ended, make_task, started

FIELDS = {"seed": 7, "num_frames": 49, "width": 832, "height": 464}


def told(task: Task) -> Any:
    return status_body(task, url="http://h:8088/videos/a.mp4", queue_position=None)


@pytest.mark.parametrize(("ran", "seconds"), [(90.0, 90), (90.4, 90), (0.6, 1)])
def test_time_is_in_whole_seconds_from_the_start_to_the_end(ran: float, seconds: int) -> None:
    task = started(make_task(fields=FIELDS))
    assert task.started_at
    task = replace(ended(task), finished_at=task.started_at + timedelta(seconds=ran))

    timings = told(task)["results"]["timings"]

    assert timings == {"inference": seconds}
    assert isinstance(timings["inference"], int)


@pytest.mark.parametrize(
    ("task", "word"),
    [
        (make_task(), "InQueue"),
        (started(make_task()), "InProgress"),
        (started(make_task()).cancelling(), "InProgress"),
        (ended(started(make_task(fields=FIELDS))), "Succeed"),
        (ended(started(make_task()), TaskState.FAILED), "Failed"),
        (ended(started(make_task()), TaskState.CANCELLED), "Cancelled"),
    ],
)
def test_every_state_has_its_documented_word(task: Task, word: str) -> None:
    assert told(task)["status"] == word


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OutOfMemory("CUDA out of memory"), "显存不足，请降低分辨率"),
        (TaskTimeout(5), "任务执行超时"),
        (TaskStalled(5), "任务长时间无进展，已停止"),
        (ReplicaDied("signal 9"), "推理进程异常退出"),
        (OutputInvalid("no frames"), "生成结果无效"),
        (NoCapacity(), "没有可用的推理进程"),
    ],
)
def test_reason_of_a_failure_is_told_in_chinese(error: TeleFuserError, reason: str) -> None:
    task = started(make_task()).fail(error, NOW)

    assert told(task)["reason"] == reason
    assert told(task)["results"] is None


def test_task_that_was_interrupted_and_waits_again_has_no_reason() -> None:
    task = started(make_task()).requeue(ReplicaDied("signal 9"))

    assert (told(task)["status"], told(task)["reason"]) == ("InQueue", None)
