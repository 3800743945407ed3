"""`GET /outputs/{file}` and `GET /health`."""

import re

import pytest

from telefuser_grpc.server.image_to_video.files import file_place
from tests.fakes.replicas import CONTENT
from tests.server.image_to_video.conftest import GIB, Caller, GenerationBackend, Gpu


async def test_video_is_sent_by_the_link_of_its_answer(
    caller: Caller, backend: GenerationBackend
) -> None:
    link = (await caller.generate()).json["download_url"]

    answer = await caller.output(link.removeprefix("/outputs/"))

    assert (answer.status, answer.content_type, answer.body) == (200, "video/mp4", CONTENT)


async def test_part_of_a_video_is_sent(caller: Caller, backend: GenerationBackend) -> None:
    link = (await caller.generate()).json["download_url"]

    answer = await caller.output(link.removeprefix("/outputs/"), range="bytes=1-2")

    assert (answer.status, answer.body) == (206, CONTENT[1:3])


@pytest.mark.parametrize(
    "name", ["video_20250405_100001.mp4", "..", "", "../t1.mp4", "a/b.mp4", "t1.mp4", "video_.mp4"]
)
async def test_other_names_are_404_in_the_documented_form(
    caller: Caller, backend: GenerationBackend, name: str
) -> None:
    await backend.run_to_end("t1")

    answer = await caller.output(name)

    assert answer.status == 404
    assert answer.json == {
        "task_id": None,
        "status": "failed",
        "error": "File not found",
        "code": "NOT_FOUND",
    }


async def test_gateway_is_told_where_a_video_lies(
    caller: Caller, backend: GenerationBackend
) -> None:
    link = (await caller.generate()).json["download_url"]
    place = file_place(backend.use_cases.library)

    match = place.pattern.fullmatch(link)
    assert match
    artifact = await place.artifact(match.groupdict(), "")

    assert artifact.task_id == (await backend.only_task()).id


async def test_health_is_the_documented_one(caller: Caller, backend: GenerationBackend) -> None:
    backend.gpus = [Gpu(memory_used_bytes=int(13.24 * GIB))]

    answer = await caller.health()

    assert answer.status == 200
    assert list(answer.json) == ["status", "model_loaded", "gpu_memory_used_gb", "timestamp"]
    assert answer.json["status"] == "healthy"
    assert answer.json["model_loaded"] is True
    assert answer.json["gpu_memory_used_gb"] == 13.2
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.json["timestamp"])


async def test_health_is_200_while_the_model_is_loaded(backend: GenerationBackend) -> None:
    backend.admission._contract = None

    answer = await Caller(backend).health()

    assert (answer.status, answer.json["model_loaded"]) == (200, False)
    assert answer.json["gpu_memory_used_gb"] == 0.0
