"""`/v1/videos`: videos are told of, listed, fetched and deleted."""

import asyncio
import io
import itertools
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import av
import pytest
from PIL import Image

from telefuser_grpc._gen.openai.v1 import video_service_pb2 as pb
from telefuser_grpc.domain.task import Progress, StateChange, TaskState
from telefuser_grpc.errors import PipelineFailed
from telefuser_grpc.scheduler.ports import TaskPage, TaskQuery
from telefuser_grpc.server.openai.video_listing import SEARCHED
from tests.fakes.builders import NOW
from tests.fakes.media_files import mp4
from tests.fakes.replicas import Script
from tests.server.backend import HANGS, Backend
from tests.server.openai.video_caller import VIDEO_CONTRACT, VideoCaller, error_of

OFFICIAL_WORDS = {"queued", "in_progress", "completed", "failed"}
CREATED = int(NOW.timestamp())


async def running(videos: VideoCaller, script: Script = HANGS) -> str:
    """Begins a video that goes by a script; returns its id."""
    videos.backend.pool.script = script
    video_id = str((await videos.create()).json["id"])
    async with aclosing(videos.backend.tasks.watch(video_id)) as events:
        async for event in events:
            if event.change == StateChange(state=TaskState.PROCESSING):
                return video_id
    raise AssertionError(f"{video_id} does not run")


async def told(videos: VideoCaller, video_id: str, progress: Progress) -> dict[str, Any]:
    """Returns a running video after a progress."""
    task = await videos.backend.tasks.get(video_id)
    videos.backend.tasks.append(video_id, task.attempt, progress)
    answer = await videos.get(video_id)
    return {**answer.json, "poll": answer.headers["openai-poll-after-ms"]}


async def image_task(backend: Backend) -> str:
    """Makes a picture; returns the id of its task."""
    created = await backend.create("picture", kind="t2i")
    return created.task_id


async def test_waiting_video_is_queued_with_progress_0(videos: VideoCaller) -> None:
    await running(videos)

    second = (await videos.create()).json

    assert (second["status"], second["progress"], second["url"]) == ("queued", 0, None)


@pytest.mark.parametrize(
    ("step", "steps", "percentage"),
    [(0, 50, 1), (1, 1000, 1), (10, 40, 25), (49, 50, 98), (50, 50, 99), (7, 0, 1)],
)
async def test_running_video_is_in_progress_with_the_percentage_of_its_steps(
    videos: VideoCaller, step: int, steps: int, percentage: int
) -> None:
    video_id = await running(videos)

    video = await told(videos, video_id, Progress(step=step, steps=steps))

    assert (video["status"], video["progress"]) == ("in_progress", percentage)


async def test_running_video_without_a_step_has_begun(videos: VideoCaller) -> None:
    video_id = await running(videos)

    assert (await videos.get(video_id)).json["progress"] == 1


async def test_completed_video_has_progress_100_times_and_a_url(videos: VideoCaller) -> None:
    video_id = await videos.made()

    video = (await videos.get(video_id, x_forwarded_host="films.example")).json

    assert (video["status"], video["progress"], video["error"]) == ("completed", 100, None)
    assert video["url"] == f"http://films.example/v1/videos/{video_id}/content"
    assert (video["created_at"], video["completed_at"]) == (CREATED, CREATED)
    assert (video["inference_time_s"], video["telefuser_status"]) == (1.0, "completed")
    assert video["artifact_metadata"]["artifact_id"] == video["artifact_id"]
    assert video["artifact_metadata"]["filename"] == f"{video_id}.mp4"
    assert "file_path" not in video


async def test_video_is_told_of_in_the_same_words_each_time(videos: VideoCaller) -> None:
    video_id = await videos.made()

    assert (await videos.get(video_id)).json == (await videos.get(video_id)).json


async def test_failed_video_says_why(videos: VideoCaller) -> None:
    videos.backend.pool.script = Script(error=PipelineFailed("out of ideas"))

    video = (await videos.get(await videos.made())).json

    assert video["status"] == "failed"
    assert video["error"] == {"code": "pipeline_failed", "message": "out of ideas"}
    assert (video["url"], video["completed_at"], video["expires_at"]) == (None, None, None)


async def test_cancelled_video_is_failed_in_the_official_words(
    backend: Backend, videos: VideoCaller
) -> None:
    video_id = await running(videos)
    await backend.use_cases.tasks.cancel(video_id)
    await backend.ended(video_id)

    video = (await videos.get(video_id)).json

    assert (video["status"], video["telefuser_status"]) == ("failed", "cancelled")
    assert video["error"]["code"] == "cancelled"


async def test_video_that_is_being_stopped_is_in_progress(
    backend: Backend, videos: VideoCaller
) -> None:
    gate = asyncio.Event()
    video_id = await running(videos, Script(encode_gate=gate))
    task = await backend.tasks.get(video_id)
    await backend.tasks.save(task.cancelling())

    assert (await videos.get(video_id)).json["status"] == "in_progress"


async def test_status_of_every_state_is_an_official_word(videos: VideoCaller) -> None:
    made = await videos.made()
    running_id = await running(videos)
    queued = (await videos.create()).json["id"]

    words = [(await videos.get(each)).json["status"] for each in (made, running_id, queued)]

    assert words == ["completed", "in_progress", "queued"]
    assert set(words) <= OFFICIAL_WORDS


@pytest.mark.parametrize(
    ("remaining", "milliseconds"), [(0.1, "500"), (3.0, "3000"), (3600.0, "10000"), (None, "1000")]
)
async def test_running_video_says_when_to_ask_again_within_bounds(
    videos: VideoCaller, remaining: float | None, milliseconds: str
) -> None:
    video_id = await running(videos)

    progress = Progress(step=0, steps=50, remaining_seconds=remaining)

    assert (await told(videos, video_id, progress))["poll"] == milliseconds


async def test_created_video_says_when_to_ask_again(videos: VideoCaller) -> None:
    assert 500 <= int((await videos.create()).headers["openai-poll-after-ms"]) <= 10_000


async def test_video_that_has_ended_does_not_say_when_to_ask_again(videos: VideoCaller) -> None:
    assert "openai-poll-after-ms" not in (await videos.get(await videos.made())).headers


async def test_unknown_video_is_not_found(videos: VideoCaller) -> None:
    for call in (videos.get, videos.delete, videos.content):
        answer = await call("video_unheard_of")

        assert error_of(answer) == (404, None, "not_found")
        assert answer.json["error"]["message"] == "Video video_unheard_of not found"


async def test_task_that_makes_no_video_is_no_video(backend: Backend, videos: VideoCaller) -> None:
    picture = await image_task(backend)

    for answer in (
        await videos.get(picture),
        await videos.content(picture),
        await videos.remix(picture, {"prompt": "p"}),
        await videos.delete(picture),
    ):
        assert error_of(answer)[0] == 404
    assert picture in backend.tasks.ids()


async def test_list_of_nothing_is_empty(videos: VideoCaller) -> None:
    assert (await videos.list()).json == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_list_pages_through_all_videos_in_their_order(
    backend: Backend, videos: VideoCaller, order: str
) -> None:
    made = [await videos.made() for _ in range(2)]
    await image_task(backend)
    await backend.started("picture")
    made += [(await videos.create()).json["id"] for _ in range(2)]
    listed, after, pages = [], "", 0
    has_more = True

    while has_more:
        page = (await videos.list(limit="2", order=order, after=after)).json
        listed += [video["id"] for video in page["data"]]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], listed[-1])
        after, has_more, pages = page["last_id"], page["has_more"], pages + 1

    assert listed == (made if order == "asc" else made[::-1])
    assert pages == 2


async def test_list_is_the_newest_twenty_unless_told_otherwise(videos: VideoCaller) -> None:
    made = [await videos.made() for _ in range(21)]

    page = (await videos.list()).json

    assert [video["id"] for video in page["data"]] == made[:0:-1]
    assert page["has_more"] is True


async def test_list_says_of_a_video_what_retrieving_says(videos: VideoCaller) -> None:
    video_id = await videos.made()

    (listed,) = (await videos.list()).json["data"]

    assert listed == (await videos.get(video_id)).json


async def test_full_last_page_says_that_there_is_no_more(videos: VideoCaller) -> None:
    await videos.made()

    assert (await videos.list(limit="1")).json["has_more"] is False


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5"])
async def test_limit_outside_1_to_100_is_refused(videos: VideoCaller, limit: str) -> None:
    answer = await videos.list(limit=limit)

    assert error_of(answer) == (422, "limit", "invalid_value")
    assert answer.faults[0][0] == ["query", "limit"]


async def test_order_other_than_asc_and_desc_is_refused(videos: VideoCaller) -> None:
    assert error_of(await videos.list(order="random")) == (422, "order", "invalid_value")


async def test_cursor_that_is_no_video_is_refused(backend: Backend, videos: VideoCaller) -> None:
    await image_task(backend)

    never = "task_" + "8" * 26  # the time that it tells is none of a ULID
    for after in ("picture", "video_unheard_of", "x" * 1000, "task_20250405_100001", never):
        answer = await videos.list(after=after)
        assert error_of(answer) == (400, "after", "invalid_cursor")
        assert answer.faults[0][0] == ["query", "after"]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_cursor_whose_video_was_deleted_is_its_place_in_time(
    backend: Backend, videos: VideoCaller, order: str
) -> None:
    seconds = itertools.count()
    backend.admission._clock = lambda: NOW + timedelta(seconds=next(seconds))
    made = [await videos.made() for _ in range(5)]
    await videos.delete(made[2])

    page = (await videos.list(after=made[2], order=order, limit="1")).json
    rest = (await videos.list(after=made[2], order=order)).json

    behind = made[3:] if order == "asc" else made[1::-1]
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (behind[:1], True)
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (behind, False)


async def test_cursor_deleted_while_the_page_is_read_is_its_place_in_time(
    backend: Backend, videos: VideoCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    backend.admission._clock = lambda: NOW + timedelta(seconds=next(seconds))
    older, newer = [await videos.made() for _ in range(2)]
    listing = backend.tasks.list

    async def list_late(query: TaskQuery) -> TaskPage:
        if query.after_id:
            await backend.tasks.delete(newer)
        return await listing(query)

    monkeypatch.setattr(backend.tasks, "list", list_late)

    page = (await videos.list(after=newer)).json

    assert [each["id"] for each in page["data"]] == [older]


async def test_cursor_that_is_gone_reaches_past_many_other_videos(
    backend: Backend, videos: VideoCaller
) -> None:
    seconds = itertools.count()
    backend.admission._clock = lambda: NOW + timedelta(seconds=next(seconds))
    oldest, gone, *_ = [await videos.made() for _ in range(SEARCHED + 3)]
    await videos.delete(gone)

    page = (await videos.list(after=gone)).json

    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([oldest], False)


async def test_delete_removes_a_completed_video_with_its_files(
    backend: Backend, videos: VideoCaller
) -> None:
    video_id = await videos.made(mp4())
    await videos.content(video_id, "thumbnail")

    answer = await videos.delete(video_id)

    about = {"object": "video.deleted", "deleted": True, "status": "deleted"}
    assert (answer.status, answer.json) == (200, {"id": video_id} | about)
    assert not (backend.root / "tasks" / video_id).exists()
    for call in (videos.get, videos.content, videos.delete):
        assert error_of(await call(video_id))[0] == 404


async def test_delete_stops_a_running_video_first(backend: Backend, videos: VideoCaller) -> None:
    video_id = await running(videos)
    run = await backend.started(video_id)

    answer = await videos.delete(video_id)

    assert answer.json["status"] == "cancelled"
    assert len(run.stops) == 1
    assert video_id not in backend.tasks.ids()


async def test_delete_takes_a_waiting_video_out_of_the_queue(
    backend: Backend, videos: VideoCaller
) -> None:
    await running(videos)
    waiting = (await videos.create()).json["id"]

    answer = await videos.delete(waiting)

    assert answer.json["status"] == "cancelled"
    assert waiting not in backend.tasks.ids()


async def test_delete_of_a_failed_video_removes_it(videos: VideoCaller) -> None:
    videos.backend.pool.script = Script(error=PipelineFailed("no"))

    assert (await videos.delete(await videos.made())).json["status"] == "deleted"


async def test_two_deletes_at_once_take_one_video_away_once(videos: VideoCaller) -> None:
    video_id = await running(videos)

    answers = await asyncio.gather(videos.delete(video_id), videos.delete(video_id))

    assert sorted(answer.status for answer in answers) == [200, 404]


@pytest.mark.parametrize("variant", ["", "video", "thumbnail", "spritesheet"])
async def test_content_of_a_video_that_is_not_made_yet_is_refused_for_good(
    videos: VideoCaller, variant: str
) -> None:
    video_id = await running(videos)

    answer = await videos.content(video_id, variant)

    assert error_of(answer) == (400, None, "video_not_ready")
    said = f"Video {video_id} is not ready (status: processing)"
    assert answer.json["error"]["message"] == answer.detail == said
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("variant", ["", "video"])
async def test_content_is_the_video(videos: VideoCaller, variant: str) -> None:
    film = mp4()
    video_id = await videos.made(film)

    answer = await videos.content(video_id, variant)

    assert (answer.status, answer.body, answer.content_type) == (200, film, "video/mp4")
    assert answer.headers["content-disposition"] == f'attachment; filename="{video_id}.mp4"'


async def test_part_of_the_content_is_sent_when_asked_for(videos: VideoCaller) -> None:
    film = mp4()
    video_id = await videos.made(film)

    answer = await videos.content(video_id, range="bytes=4-7")

    assert (answer.status, answer.body) == (206, film[4:8])


async def test_thumbnail_is_the_first_frame_as_webp(videos: VideoCaller) -> None:
    video_id = await videos.made(mp4(width=64, height=32))

    answer = await videos.content(video_id, "thumbnail")

    picture = Image.open(io.BytesIO(answer.body))
    assert (answer.status, answer.content_type) == (200, "image/webp")
    assert (picture.format, picture.size) == ("WEBP", (64, 32))
    red, green, blue = picture.convert("RGB").getpixel((32, 16))
    assert green > max(red, blue) + 100


@pytest.mark.parametrize(("frames", "grid"), [(1, (1, 1)), (4, (2, 2)), (40, (4, 4))])
async def test_spritesheet_is_a_grid_of_frames_as_jpeg(
    videos: VideoCaller, frames: int, grid: tuple[int, int]
) -> None:
    video_id = await videos.made(mp4(frames=frames, width=64, height=32))

    answer = await videos.content(video_id, "spritesheet")

    picture = Image.open(io.BytesIO(answer.body))
    assert (answer.status, answer.content_type) == (200, "image/jpeg")
    assert (picture.format, picture.size) == ("JPEG", (grid[0] * 64, grid[1] * 32))


async def test_derived_file_is_made_once_for_many_callers(
    videos: VideoCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    real = av.open
    monkeypatch.setattr(av, "open", lambda *a, **k: (opened.append(a), real(*a, **k))[1])
    video_id = await videos.made(mp4())
    opened.clear()

    answers = await asyncio.gather(*(videos.content(video_id, "thumbnail") for _ in range(4)))

    assert {answer.status for answer in answers} == {200}
    assert len({answer.headers["etag"] for answer in answers}) == 1
    assert len(opened) == 1


async def test_derived_file_of_what_is_no_video_is_not_found(
    backend: Backend, videos: VideoCaller
) -> None:
    video_id = await videos.made()

    assert error_of(await videos.content(video_id, "thumbnail"))[0] == 404
    assert not list((backend.root / "tasks" / video_id).rglob("*.part"))


async def test_unknown_variant_is_refused_by_name(videos: VideoCaller) -> None:
    answer = await videos.content(await videos.made(), "gif")

    assert error_of(answer)[:2] == (400, "variant")
    assert answer.faults == [(["query", "variant"], "enum")]


async def test_gateway_finds_the_files_of_a_video(backend: Backend, videos: VideoCaller) -> None:
    video_id = await videos.made(mp4())
    (place,) = [
        each
        for each in backend.server._places(backend.use_cases)
        if each.pattern.fullmatch(f"/v1/videos/{video_id}/content")
    ]

    paths = [
        (await place.artifact({"video_id": video_id}, f"variant={variant}")).path
        for variant in ("video", "thumbnail")
    ]

    assert paths[0].endswith(f"/outputs/videos/{video_id}.mp4")
    assert paths[1].startswith(f"tasks/{video_id}/outputs/")
    assert paths[1].endswith(".webp")


async def test_characters_are_unsupported_and_not_found(videos: VideoCaller) -> None:
    created = await videos.post(
        videos.videos.CreateCharacter, pb.CreateCharacterRequest, {"name": "Ada"}
    )
    asked = await videos.ask(
        videos.videos.GetCharacter, pb.GetCharacterRequest(character_id="char_ada")
    )

    assert error_of(created) == (400, None, "unsupported")
    assert error_of(asked) == (404, None, "not_found")


async def test_native_task_is_a_video_too(backend: Backend, videos: VideoCaller) -> None:
    await backend.run_to_end("film")

    video = (await videos.get("film")).json

    assert (video["id"], video["status"], video["prompt"]) == ("film", "completed", "a red ball")
    assert (video["size"], video["seconds"]) == ("16x16", "4")


async def test_listing_while_the_pipeline_loads_shows_what_is_stored(loading: Backend) -> None:
    loading.admission.open(VIDEO_CONTRACT)
    videos = VideoCaller(loading)
    video_id = (await videos.create()).json["id"]
    loading.admission._contract = None

    assert [each["id"] for each in (await videos.list()).json["data"]] == [video_id]
