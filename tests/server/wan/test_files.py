"""`GET /videos/{file}`: public, for who knows the name."""

from dataclasses import replace

import pytest

from telefuser_grpc.server.wan.files import file_place
from tests.server.backend import COMPLETES
from tests.server.wan.caller import Caller
from tests.server.wan.conftest import WanBackend
from tests.server.wan.test_status import finished
from tests.server.wan.test_submit import reason


async def test_video_is_sent_to_who_knows_its_name(wan: Caller, backend: WanBackend) -> None:
    task = await finished(wan, backend, COMPLETES)

    answer = await wan.file(task.output_name.removeprefix("wan21/"))

    assert (answer.status, answer.content_type, answer.body) == (200, "video/mp4", b"frames")


async def test_part_of_a_video_is_sent(wan: Caller, backend: WanBackend) -> None:
    task = await finished(wan, backend, COMPLETES)

    answer = await wan.file(task.output_name.removeprefix("wan21/"), range="bytes=1-2")

    assert (answer.status, answer.body) == (206, b"ra")


@pytest.mark.parametrize(
    "name", ["0" * 32 + ".mp4", "abcd1234.mp4", "..", "", "../t.mp4", "a/b.mp4", "t1.mp4"]
)
async def test_other_names_are_404_in_the_documented_form(
    wan: Caller, backend: WanBackend, name: str
) -> None:
    backend.pool.script = COMPLETES
    await backend.run_to_end("t1")

    answer = await wan.file(name)

    assert (answer.status, reason(answer)) == (404, "文件不存在或已过期")


async def test_gateway_is_told_where_a_video_lies(wan: Caller, backend: WanBackend) -> None:
    task = await finished(wan, backend, COMPLETES)
    place = file_place(backend.use_cases.library)
    path = f"/videos/{task.output_name.removeprefix('wan21/')}"

    match = place.pattern.fullmatch(path)
    assert match
    artifact = await place.artifact(match.groupdict(), "")

    assert artifact.task_id == task.id


async def test_name_alone_lets_read_what_a_caller_has_made(
    wan: Caller, backend: WanBackend
) -> None:
    task = await finished(wan, backend, COMPLETES)
    backend.tasks._tasks[task.id] = replace(task, owner="studio")

    answer = await wan.file(task.output_name.removeprefix("wan21/"))

    assert answer.status == 200
