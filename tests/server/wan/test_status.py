"""`POST /video/status` and `POST /video/cancel`: the documented words, texts and codes."""

from typing import Any

import pytest

from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import OutOfMemory, PipelineFailed, TaskTimeout
from tests.fakes.replicas import Script
from tests.server.backend import COMPLETES
from tests.server.wan.caller import Caller
from tests.server.wan.conftest import WanBackend
from tests.server.wan.test_submit import reason


async def finished(wan: Caller, backend: WanBackend, script: Script, **changes: Any) -> Task:
    """Submits a task that follows a script, and waits for its end."""
    backend.pool.script = script
    task = await wan.submitted(**changes)
    await backend.ended(task.id)
    return await backend.tasks.get(task.id)


async def test_waiting_task_is_in_queue_and_tells_its_place(
    wan: Caller, backend: WanBackend
) -> None:
    first = await wan.submitted()
    await backend.started(first.id)
    waiting = [await wan.submitted() for _ in range(2)]

    bodies = [(await wan.status(task.id)).json for task in waiting]

    assert [each["queue_position"] for each in bodies] == [1, 2]
    assert bodies[0] == {
        "status": "InQueue",
        "reason": None,
        "results": None,
        "queue_position": 1,
    }


async def test_place_in_the_queue_counts_tasks_of_other_interfaces(
    wan: Caller, backend: WanBackend
) -> None:
    await backend.create("native")
    await backend.started("native")
    await backend.create("other")
    task = await wan.submitted()

    assert (await wan.status(task.id)).json["queue_position"] == 2


async def test_running_task_is_in_progress(wan: Caller, backend: WanBackend) -> None:
    task = await wan.submitted()
    await backend.started(task.id)

    body = (await wan.status(task.id)).json

    assert (body["status"], body["queue_position"]) == ("InProgress", None)


async def test_finished_task_succeeds_with_link_time_and_seed(
    wan: Caller, backend: WanBackend
) -> None:
    task = await finished(wan, backend, COMPLETES, seed=123456, num_frames=24)

    answer = await wan.status(
        task.id, x_forwarded_host="video.example:8088", x_forwarded_proto="https"
    )

    name = task.output_name.removeprefix("wan21/")
    assert answer.status == 200
    assert answer.json == {
        "status": "Succeed",
        "reason": None,
        "results": {
            "videos": [{"url": f"https://video.example:8088/videos/{name}"}],
            "timings": {"inference": 0},
            "seed": 123456,
            "num_frames": 25,
            "image_size": "832x464",
        },
        "queue_position": None,
    }


async def test_seed_that_was_chosen_for_the_caller_is_told(
    wan: Caller, backend: WanBackend
) -> None:
    task = await finished(wan, backend, COMPLETES)

    results = (await wan.status(task.id)).json["results"]

    assert results["seed"] == task.fields["seed"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OutOfMemory("CUDA out of memory"), "显存不足，请降低分辨率"),
        (TaskTimeout(5), "任务执行超时"),
        (PipelineFailed("ValueError: no"), "视频生成失败: ValueError: no"),
    ],
)
async def test_failed_task_tells_its_reason(
    wan: Caller, backend: WanBackend, error: Any, told: str
) -> None:
    task = await finished(wan, backend, Script(error=error))

    answer = await wan.status(task.id)

    assert answer.status == 200
    assert answer.json == {
        "status": "Failed",
        "reason": told,
        "results": None,
        "queue_position": None,
    }


async def test_waiting_task_is_cancelled_at_once(wan: Caller, backend: WanBackend) -> None:
    first = await wan.submitted()
    await backend.started(first.id)
    waiting = await wan.submitted()

    answer = await wan.cancel(waiting.id)

    status = (await wan.status(waiting.id)).json
    assert (answer.status, answer.json) == (200, {"status": "Succeed"})
    assert (status["status"], status["reason"]) == ("Cancelled", "用户主动取消")


async def test_running_task_is_cancelled_too(wan: Caller, backend: WanBackend) -> None:
    task = await wan.submitted()
    await backend.started(task.id)

    answer = await wan.cancel(task.id)
    await backend.ended(task.id)

    assert (answer.status, answer.json) == (200, {"status": "Succeed"})
    assert (await wan.status(task.id)).json["status"] == "Cancelled"


@pytest.mark.parametrize(
    ("script", "word"), [(COMPLETES, "Succeed"), (Script(error=PipelineFailed("no")), "Failed")]
)
async def test_task_that_has_ended_cannot_be_cancelled(
    wan: Caller, backend: WanBackend, script: Script, word: str
) -> None:
    task = await finished(wan, backend, script)

    answer = await wan.cancel(task.id)

    assert answer.status == 400
    assert reason(answer) == f"仅允许取消排队任务，当前状态: {word}"


@pytest.mark.parametrize("request_id", ["a" * 32, "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6", "画" * 32])
async def test_unknown_task_is_404(wan: Caller, request_id: str) -> None:
    for answer in (await wan.status(request_id), await wan.cancel(request_id)):
        assert (answer.status, reason(answer)) == (404, "无效的任务ID")


async def test_task_of_another_interface_is_unknown_here(wan: Caller, backend: WanBackend) -> None:
    await backend.create("b" * 32)

    assert (await wan.status("b" * 32)).status == 404
    assert (await wan.cancel("b" * 32)).status == 404


@pytest.mark.parametrize("request_id", ["a" * 31, "a" * 33, "", 7, None, ["a" * 32]])
async def test_request_id_of_another_form_is_422(wan: Caller, request_id: Any) -> None:
    for answer in (await wan.status(request_id), await wan.cancel(request_id)):
        assert answer.status == 422
        assert [loc for loc, _ in answer.faults] == [["body", "requestId"]]
