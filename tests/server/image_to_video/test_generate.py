"""`POST /generate`: what it takes, answers and refuses."""

import asyncio
import base64
import io
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image
from structlog.testing import capture_logs

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import OutOfMemory, PipelineFailed, TaskFailed, TaskTimeout
from tests.fakes.media_files import mp4, still
from tests.fakes.replicas import CONTENT, Script
from tests.server.backend import COMPLETES, HANGS, LIMITS
from tests.server.image_to_video.conftest import (
    GIB,
    IMAGE,
    Caller,
    GenerationBackend,
    Gpu,
    request_of,
)
from tests.server.rest.gateway import Answer

SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TASK_ID = re.compile(r"task_\d{8}_\d{6}(_\d+)?")


def assert_refused(answer: Answer, status: int, code: str) -> None:
    """The body has the documented keys, and names a generation."""
    assert (answer.status, answer.json["code"], answer.json["status"]) == (status, code, "failed")
    assert TASK_ID.fullmatch(answer.json["task_id"])
    assert list(answer.json)[:4] == ["task_id", "status", "error", "code"]
    assert answer.json["error"]


def files(backend: GenerationBackend) -> list[Path]:
    return [path for path in backend.root.rglob("*") if path.is_file()]


async def test_answer_is_the_documented_one_with_the_whole_video(caller: Caller) -> None:
    answer = await caller.generate()

    tail = answer.json["task_id"].removeprefix("task_")
    assert answer.status == 200
    assert TASK_ID.fullmatch(answer.json["task_id"])
    assert answer.json == {
        "task_id": f"task_{tail}",
        "status": "success",
        "video_base64": base64.b64encode(CONTENT).decode(),
        "download_url": f"/outputs/video_{tail}.mp4",
        "inference_time_s": 1.0,
        "parameters": {
            "resolution": "512p",
            "num_frames": 16,
            "fps": 8,
            "steps": 50,
            "guidance_scale": 9.0,
        },
    }
    assert list(answer.json) == [
        *("task_id", "status", "video_base64", "download_url"),
        *("inference_time_s", "parameters"),
    ]
    assert int(answer.headers["x-content-length"]) == len(answer.body)


@pytest.mark.parametrize(("resolution", "side"), [("256p", 256), ("512p", 512), ("768p", 768)])
async def test_pipeline_is_told_everything_and_gets_a_square_of_the_resolution(
    caller: Caller, backend: GenerationBackend, resolution: str, side: int
) -> None:
    asked = {"num_frames": 12, "fps": 6, "steps": 20, "guidance_scale": 5.5}

    answer = await caller.generate(resolution=resolution, **asked)

    task = await backend.only_task()
    expected = {
        "width": side,
        "height": side,
        "num_frames": 12,
        "fps": 6,
        "num_inference_steps": 20,
        "guidance_scale": 5.5,
    }
    path = Path(backend.artifacts.input_path(task.id, task.inputs["first_image_path"]))
    picture = Image.open(io.BytesIO(path.read_bytes()))
    assert task.kind == "i2v"
    assert task.fields | expected == task.fields
    assert (picture.size, picture.mode) == ((side, side), "RGB")
    assert answer.json["parameters"] == asked | {"resolution": resolution}


async def test_gif_is_made_where_it_is_asked_for(
    caller: Caller, backend: GenerationBackend
) -> None:
    answer = await caller.generate(output_format="gif")

    assert answer.json["download_url"].endswith(".gif")
    assert (await backend.only_task()).output_name.endswith(".gif")


@pytest.mark.parametrize(
    "image",
    [
        f"data:image/png;base64,{IMAGE}",
        base64.b64encode(still("JPEG")).decode(),
        base64.encodebytes(still()).decode(),
        IMAGE.rstrip("="),
    ],
    ids=["data URL", "JPEG", "with line ends", "without padding"],
)
async def test_image_comes_as_base64_in_its_usual_forms(caller: Caller, image: str) -> None:
    assert (await caller.generate(image_base64=image)).status == 200


@pytest.mark.parametrize(
    ("image", "status"),
    [
        ("no base64!", 422),
        ("图片", 422),
        ("iVBORw0KGgoAAAANSUhEUgAA...", 422),
        ("iVBORw0KGgoAAAANSUhEUgAA", 400),
        (base64.b64encode(b"text").decode(), 400),
        (base64.b64encode(mp4()).decode(), 400),
        ("data:image/png;base64,", 400),
    ],
)
async def test_image_that_is_none_is_refused_by_name(
    caller: Caller, backend: GenerationBackend, image: str, status: int
) -> None:
    answer = await caller.generate(image_base64=image)

    assert_refused(answer, status, "INVALID_ARGUMENT")
    assert [loc for loc, _ in answer.faults] == [["body", "image_base64"]]
    assert "image_base64" in answer.json["error"]
    assert files(backend) == []


@pytest.mark.parametrize(
    ("name", "low", "high", "below", "above"),
    [
        ("num_frames", 8, 32, 7, 33),
        ("fps", 4, 24, 3, 25),
        ("steps", 10, 100, 9, 101),
        ("guidance_scale", 1.0, 20.0, 0.9, 20.1),
    ],
)
async def test_value_is_held_to_its_documented_range(
    caller: Caller, name: str, low: Any, high: Any, below: Any, above: Any
) -> None:
    for value in (low, high):
        answer = await caller.generate(**{name: value})
        assert answer.status == 200
        assert answer.json["parameters"][name] == value
    for value in (below, above):
        answer = await caller.generate(**{name: value})
        assert_refused(answer, 422, "INVALID_ARGUMENT")
        assert [loc for loc, _ in answer.faults] == [["body", name]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resolution", "1024p"),
        ("resolution", 512),
        ("output_format", "webm"),
        ("preset", "ultra"),
        ("num_frames", 16.5),
        ("steps", True),
        ("fps", None),
        ("prompt", "  "),
        ("prompt", "x" * 2001),
        ("image_base64", ""),
        ("image_base64", 7),
    ],
)
async def test_value_of_a_wrong_kind_is_422_and_names_its_field(
    caller: Caller, name: str, value: Any
) -> None:
    answer = await caller.generate(**{name: value})

    assert_refused(answer, 422, "INVALID_ARGUMENT")
    assert [loc for loc, _ in answer.faults] == [["body", name]]
    assert answer.json["error"].startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["image_base64", "prompt"])
async def test_field_without_a_default_is_required(caller: Caller, name: str) -> None:
    answer = await caller.generate(without=name)

    assert_refused(answer, 422, "INVALID_ARGUMENT")
    assert answer.faults == [(["body", name], "missing")]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
async def test_body_that_is_no_object_is_422(caller: Caller, body: bytes) -> None:
    assert_refused(await caller.post(body), 422, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("fast", {"resolution": "512p", "num_frames": 8, "steps": 30, "guidance_scale": 9.0}),
        ("standard", {"resolution": "512p", "num_frames": 16, "steps": 50, "guidance_scale": 9.0}),
        ("high", {"resolution": "768p", "num_frames": 24, "steps": 80, "guidance_scale": 10.0}),
        ("batch", {"resolution": "512p", "num_frames": 16, "steps": 50, "guidance_scale": 9.0}),
    ],
)
async def test_preset_stands_for_its_documented_values(
    caller: Caller, preset: str, parameters: dict[str, Any]
) -> None:
    answer = await caller.generate(preset=preset)

    assert answer.json["parameters"] == parameters | {"fps": 8}


async def test_what_a_caller_gives_wins_over_the_preset(caller: Caller) -> None:
    parameters = (await caller.generate(preset="high", steps=20)).json["parameters"]

    assert (parameters["steps"], parameters["num_frames"]) == (20, 24)


@pytest.mark.parametrize(
    ("preset", "limit"), [("fast", 3), ("standard", 2), ("high", 1), ("batch", 1)]
)
async def test_preset_makes_so_many_at_once_and_refuses_the_next(
    caller: Caller, backend: GenerationBackend, preset: str, limit: int
) -> None:
    backend.pool.script = HANGS
    first = [asyncio.create_task(caller.generate(preset=preset)) for _ in range(limit)]
    await backend.first_run()
    while sum(backend.tasks.counts().values()) < limit:
        await backend.tasks.changed()

    answer = await caller.generate(preset=preset)

    assert_refused(answer, 429, "RESOURCE_EXHAUSTED")
    assert f"makes {limit} at a time" in answer.json["error"]
    assert "retry-after" in answer.headers
    for each in first:
        each.cancel()


async def test_preset_is_free_again_after_a_failure(
    caller: Caller, backend: GenerationBackend
) -> None:
    backend.pool.script = Script(error=PipelineFailed("no"))
    for _ in range(3):
        assert (await caller.generate(preset="high")).status == 500


@pytest.mark.parametrize(
    ("error", "status", "code", "text"),
    [
        (
            OutOfMemory("CUDA out of memory. Please reduce resolution or frame count."),
            500,
            "RESOURCE_EXHAUSTED",
            "CUDA out of memory. Please reduce resolution or frame count.",
        ),
        (PipelineFailed("ValueError: no"), 500, "INTERNAL", "ValueError: no"),
        (TaskTimeout(5), 504, "DEADLINE_EXCEEDED", "Task processing timeout"),
    ],
)
async def test_failed_run_is_told_in_the_documented_form(
    caller: Caller,
    backend: GenerationBackend,
    error: TaskFailed,
    status: int,
    code: str,
    text: str,
) -> None:
    backend.pool.script = Script(error=error)

    answer = await caller.generate()

    assert_refused(answer, status, code)
    assert answer.json == {
        "task_id": (await backend.only_task()).id,
        "status": "failed",
        "error": text,
        "code": code,
    }


async def test_task_that_somebody_cancels_is_409(
    caller: Caller, backend: GenerationBackend
) -> None:
    backend.pool.script = HANGS
    call = asyncio.create_task(caller.generate())
    run = await backend.first_run()
    await backend.scheduler.cancel(run.job.task_id)

    assert_refused(await call, 409, "CANCELLED")


async def test_caller_who_leaves_ends_the_run(caller: Caller, backend: GenerationBackend) -> None:
    backend.pool.script = HANGS
    body = {"image_base64": IMAGE, "prompt": "p"}
    call = caller.stub.Generate(request_of(body))
    reading = asyncio.create_task(call.read())
    run = await backend.first_run()

    call.cancel()
    ended = await backend.ended(run.job.task_id)

    task = await backend.tasks.get(ended.task_id)
    assert task.state is TaskState.CANCELLED
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_generations_of_one_second_have_names_of_their_own(
    caller: Caller, backend: GenerationBackend
) -> None:
    answers = await asyncio.gather(*(caller.generate() for _ in range(3)))

    assert len({each.json["task_id"] for each in answers}) == 3
    assert len({each.json["download_url"] for each in answers}) == 3


async def test_gpu_without_room_is_429_at_once_and_costs_nothing(
    caller: Caller, backend: GenerationBackend
) -> None:
    backend.gpus = [Gpu(memory_used_bytes=9 * GIB)]

    answer = await caller.generate()

    assert_refused(answer, 429, "RESOURCE_EXHAUSTED")
    assert "13.5 GB" in answer.json["error"]
    assert files(backend) == []


async def test_gpu_with_room_admits(caller: Caller, backend: GenerationBackend) -> None:
    backend.gpus = [Gpu(memory_used_bytes=8 * GIB)]

    assert (await caller.generate()).status == 200


async def test_full_queue_is_429(caller: Caller, backend: GenerationBackend) -> None:
    backend.pool.script = HANGS
    for number in range(LIMITS.queue):
        await backend.create(f"t{number}")

    answer = await caller.generate()

    assert_refused(answer, 429, "RESOURCE_EXHAUSTED")
    assert "retry-after" in answer.headers


async def test_model_that_is_still_loaded_is_503(tmp_path: Path) -> None:
    async with GenerationBackend(tmp_path) as loading:
        answer = await Caller(loading).generate()

    assert_refused(answer, 503, "MODEL_NOT_READY")


async def test_pipeline_that_makes_no_video_of_an_image_refuses(
    caller: Caller, backend: GenerationBackend
) -> None:
    backend.admission.open(PipelineContract.parse({"supported_tasks": ["t2v"]}, stem="other"))

    assert_refused(await caller.generate(), 400, "INVALID_ARGUMENT")


async def test_value_that_the_pipeline_refuses_is_named_as_the_caller_knows_it(
    caller: Caller, backend: GenerationBackend
) -> None:
    steps = {"num_inference_steps": {"type": "integer", "maximum": 40}}
    contract = {"supported_tasks": ["i2v"], "task_contracts": {"i2v": {"parameters": steps}}}
    backend.admission.open(PipelineContract.parse(contract, stem="other"))

    answer = await caller.generate(steps=41)

    assert_refused(answer, 422, "INVALID_ARGUMENT")
    assert answer.faults == [(["body", "steps"], "less_than_equal")]
    assert answer.json["error"] == "steps: must be at most 40"
    assert files(backend) == []


async def test_native_caller_gets_the_canonical_code(caller: Caller) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.stub.Generate(request_of({})).read()

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_start_and_end_are_logged_with_the_documented_keys(
    caller: Caller, backend: GenerationBackend
) -> None:
    with capture_logs() as lines:
        answer = await caller.generate(headers={"x_forwarded_for": "10.0.0.1, 192.168.1.100"})

    start, end = [each for each in lines if each["event"].startswith("video_generation")]
    documented = {
        "task_id": answer.json["task_id"],
        "params": {"resolution": "512p", "frames": 16},
        "client_ip": "192.168.1.100",
    }
    assert SECOND.fullmatch(start.pop("timestamp"))
    assert start == documented | {
        "event": "video_generation_start",
        "level": "INFO",
        "log_level": "info",
    }
    assert end["event"] == "video_generation_end"
    assert end | documented == end
    assert end["duration_s"] >= 0


@pytest.mark.parametrize(
    ("script", "changes", "event", "code"),
    [
        (COMPLETES, {"steps": 1}, "video_generation_rejected", "INVALID_ARGUMENT"),
        (Script(error=OutOfMemory("o")), {}, "video_generation_error", "RESOURCE_EXHAUSTED"),
    ],
)
async def test_refusal_and_failure_are_logged_with_their_code(
    caller: Caller,
    backend: GenerationBackend,
    script: Script,
    changes: dict[str, Any],
    event: str,
    code: str,
) -> None:
    backend.pool.script = script
    with capture_logs() as lines:
        answer = await caller.generate(**changes)

    (line,) = [each for each in lines if each["event"] == event]
    assert (line["code"], line["task_id"]) == (code, answer.json["task_id"])
    assert line["duration_s"] >= 0


async def test_measured_runs_decide_what_the_next_one_needs(
    caller: Caller, backend: GenerationBackend
) -> None:
    backend.memory.learn((512, 512, 16), 20 * 1024.0)
    backend.gpus = [Gpu(memory_used_bytes=3 * GIB)]

    assert_refused(await caller.generate(), 429, "RESOURCE_EXHAUSTED")
