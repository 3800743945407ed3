"""Images as streams: previews, results, and failures on the way."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import grpc
import pytest
from PIL import Image

from telefuser_grpc.domain.task import Preview, Progress, TaskState
from telefuser_grpc.errors import PipelineFailed
from telefuser_grpc.server.openai.streaming import HEARTBEAT, OPENING, PreviewChoice, kept_alive
from tests.fakes.media_files import still
from tests.server.backend import HANGS, Backend
from tests.server.openai.images_face import CONTRACT, DRAWS, PNG, Face, cut, events, picture

JPEG = still("JPEG", width=4, height=3)
EVERY_STEP = replace(DRAWS, steps=8, previews=frozenset(range(1, 9)), preview=JPEG)
SDK = {"x-stainless-retry-count": "0"}


@pytest.fixture
def face(loading: Backend) -> Face:
    loading.open(CONTRACT)
    loading.pool.script = EVERY_STEP
    return Face(loading)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
async def test_so_many_previews_come_before_the_image_as_are_asked_for(
    face: Face, count: int
) -> None:
    answer = await face.generate({"prompt": "a cat", "stream": True, "partial_images": count})

    *partial, completed = events(answer.body)
    assert answer.content_type == "text/event-stream"
    assert [each["type"] for each in partial] == ["image_generation.partial_image"] * count
    assert [each["partial_image_index"] for each in partial] == list(range(count))
    assert all(picture(each).size == (4, 3) for each in partial)
    assert completed["type"] == "image_generation.completed"
    assert picture(completed).size == (16, 12)


async def test_events_have_the_official_fields(face: Face) -> None:
    body = {"prompt": "a cat", "stream": True, "partial_images": 1, "size": "1024x1024"}

    partial, completed = events((await face.generate(body)).body)

    fields = {"b64_json", "created_at", "size", "quality", "background", "output_format"}
    assert fields | {"partial_image_index"} <= partial.keys()
    assert fields | {"usage"} <= completed.keys()
    assert isinstance(completed["created_at"], int)
    assert (partial["size"], completed["size"]) == ("1024x1024", "16x12")


async def test_previews_have_the_wanted_format(face: Face) -> None:
    body = {"prompt": "p", "stream": True, "partial_images": 1, "output_format": "webp"}

    told = events((await face.generate(body)).body)

    assert [picture(each).format for each in told] == ["WEBP", "WEBP"]
    assert [each["output_format"] for each in told] == ["webp", "webp"]


async def test_images_of_a_stream_come_in_their_order(face: Face) -> None:
    body = {"prompt": "p", "stream": True, "partial_images": 1, "n": 2}

    told = events((await face.generate(body)).body)

    assert [each["type"].partition(".")[2] for each in told] == ["partial_image", "completed"] * 2
    assert [task.fields["seed"] for task in await face.tasks()] == [42, 43]


async def test_edits_have_events_of_their_own(face: Face) -> None:
    fields = {"prompt": "p", "stream": "true", "partial_images": "1"}

    told = events((await face.edit(fields, {"image": PNG})).body)

    assert [each["type"] for each in told] == ["image_edit.partial_image", "image_edit.completed"]


async def test_previews_come_while_the_image_is_made(face: Face) -> None:
    gate = asyncio.Event()
    face.backend.pool.script = replace(EVERY_STEP, gates={8: gate})
    call = face.begin({"prompt": "p", "stream": True, "partial_images": 1})
    received = b""

    while b"partial_image" not in received:
        received += (await call.read()).body.data

    assert (await face.tasks())[0].state is TaskState.PROCESSING
    gate.set()
    while (response := await call.read()) is not grpc.aio.EOF:
        received += response.body.data
    assert len(events(received)) == 2


async def test_failure_on_the_way_is_an_event_with_an_error(face: Face) -> None:
    face.backend.pool.script = replace(EVERY_STEP, error=PipelineFailed("no paint"))

    told = events((await face.generate({"prompt": "p", "stream": True})).body)

    assert [each["type"] for each in told] == ["error"]
    assert told[0]["error"]["code"] == "pipeline_failed"
    assert told[0]["error"]["message"] == "Generation failed: no paint"


async def test_bad_request_for_a_stream_has_a_status_of_its_own(face: Face) -> None:
    answer = await face.generate({"prompt": "p", "stream": True, "partial_images": 9})

    assert (answer.status, answer.json["error"]["param"]) == (422, "partial_images")


async def test_reader_of_a_stream_who_goes_away_ends_the_task(face: Face) -> None:
    face.backend.pool.script = HANGS
    call = face.begin({"prompt": "p", "stream": True}, **SDK)
    assert (await call.read()).body.data == OPENING
    task = await face.first_task()

    await cut(call)

    await face.backend.ended(task.id)
    assert (await face.backend.tasks.get(task.id)).state is TaskState.CANCELLED


async def test_preview_that_no_program_can_read_is_passed_on(face: Face) -> None:
    face.backend.pool.script = replace(EVERY_STEP, preview=b"jpeg")

    told = events((await face.generate({"prompt": "p", "stream": True, "partial_images": 1})).body)

    assert (told[0]["output_format"], base64.b64decode(told[0]["b64_json"])) == ("jpeg", b"jpeg")


async def test_image_that_can_be_seen_through_is_told_of(face: Face) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (16, 12), (0, 0, 0, 0)).save(buffer, "PNG")
    face.backend.pool.script = replace(EVERY_STEP, content=buffer.getvalue())

    (completed,) = events((await face.generate({"prompt": "p", "stream": True})).body)

    assert completed["background"] == "transparent"


@pytest.mark.parametrize(
    ("wanted", "steps", "at", "sent", "rest"),
    [
        (3, 8, range(1, 9), [2, 4, 6], []),
        (1, 8, range(1, 9), [4], []),
        (2, 30, (3, 6, 9), [], [6, 9]),
        (3, 4, (2,), [2], []),
        (3, 0, range(1, 9), [1, 2, 3], []),
        (0, 8, range(1, 9), [], []),
        (2, 8, (1, 8), [8], []),
    ],
)
def test_previews_lie_evenly_in_the_run(
    wanted: int, steps: int, at: Iterable[int], sent: list[int], rest: list[int]
) -> None:
    choice = PreviewChoice(wanted)
    choice.note(Progress(step=0, steps=steps))

    assert [step for step in at if choice.take(Preview(step=step, image=b""))] == sent
    assert [each.step for each in choice.rest()] == rest


async def test_quiet_stream_is_kept_alive() -> None:
    gate = asyncio.Event()

    async def quiet() -> AsyncIterator[bytes]:
        await gate.wait()
        yield b"frame"

    frames = kept_alive(quiet(), seconds=0.001)

    assert [await anext(frames) for _ in range(3)] == [OPENING, HEARTBEAT, HEARTBEAT]
    gate.set()
    assert {each async for each in frames} - {HEARTBEAT} == {b"frame"}
