"""Cases of `videos`: made, followed, listed, fetched and deleted."""

import base64
from typing import Any

from tests.conformance.python.checks import (
    Ear,
    Gate,
    each,
    is_recent,
    kind_of,
    refusal,
    settle,
)
from tests.conformance.python.run import Run

SINCE = (2, 2)
PROMPT = "a red circle moving right"
STATUSES = ("queued", "in_progress", "completed", "failed")


async def create_answers_with_the_video(run: Run) -> None:
    video = await settle(run.client.videos.create(prompt=PROMPT, seconds="4", size="720x1280"))

    assert video.object == "video"
    assert video.status in STATUSES
    assert is_recent(video.created_at)
    assert isinstance(video.progress, int)
    assert (video.seconds, video.size) == ("4", "720x1280")
    assert video.prompt == PROMPT
    assert video.model
    assert video.error is None


async def create_takes_the_official_sizes_and_seconds(run: Run) -> None:
    for size, seconds in (("1280x720", "8"), ("1024x1792", "12"), ("1792x1024", "4")):
        video = await settle(run.client.videos.create(prompt=PROMPT, size=size, seconds=seconds))
        await settle(run.client.videos.delete(video.id))

        assert (video.size, video.seconds) == (size, seconds)


async def create_takes_a_number_of_seconds(run: Run) -> None:
    video = await settle(run.client.videos.create(prompt=PROMPT, seconds=5))

    assert video.seconds == "5"


async def create_keeps_the_model_that_is_named(run: Run) -> None:
    video = await settle(run.client.videos.create(prompt=PROMPT, model="sora-2"))

    assert video.model == "sora-2"


async def create_starts_from_a_file_in_every_form(run: Run) -> None:
    path = run.media / "still.png"
    with path.open("rb") as file:
        for reference in (file, path, path.read_bytes(), ("a.png", path.read_bytes(), "image/png")):
            video = await _made(run, input_reference=reference)

            assert video.status == "completed", video.error


async def create_starts_from_a_video(run: Run) -> None:
    video = await _made(run, input_reference=run.media / "clip.mp4")

    assert video.status == "completed", video.error


async def create_starts_from_a_url_in_extra_body(run: Run) -> None:
    picture = base64.b64encode((run.media / "still.png").read_bytes()).decode()
    reference = {"image_url": f"data:image/png;base64,{picture}"}

    video = await _made(run, extra_body={"input_reference": reference})

    assert video.status == "completed", video.error


async def create_takes_fields_of_extra_body(run: Run) -> None:
    extra = {"seed": 7, "negative_prompt": "blue", "flag": True, "nested": {"a": 1, "l": [1, 2]}}

    video = await _made(run, extra_body=extra)

    assert video.status == "completed", video.error


async def create_and_poll_returns_the_completed_video(run: Run) -> None:
    video = await settle(run.client.videos.create_and_poll(prompt=PROMPT))

    assert (video.status, video.progress) == ("completed", 100)
    assert is_recent(video.completed_at)
    assert video.completed_at >= video.created_at


async def poll_waits_for_a_video_that_is_queued(run: Run) -> None:
    gate = Gate(run.path("gate"))
    first = await settle(run.client.videos.create(prompt=f"wait {gate}"))
    second = await settle(run.client.videos.create(prompt=PROMPT))
    before = await settle(run.client.videos.retrieve(second.id))
    gate.open()

    after = await settle(run.client.videos.poll(second.id, poll_interval_ms=50))

    assert before.status == "queued"
    assert after.status == "completed"
    assert (await settle(run.client.videos.poll(first.id))).status == "completed"


async def a_video_that_is_not_made_yet_says_when_to_ask_again(run: Run) -> None:
    gate = Gate(run.path("gate"))
    video = await settle(run.client.videos.create(prompt=f"wait {gate}"))

    answer = await settle(run.client.videos.with_raw_response.retrieve(video.id))
    gate.open()

    assert 0 < int(answer.headers["openai-poll-after-ms"]) <= 60_000
    assert answer.parse().status in ("queued", "in_progress")
    assert answer.headers["x-request-id"]


async def a_video_is_told_of_in_the_same_words_each_time(run: Run) -> None:
    video = await _made(run)

    first = await settle(run.client.videos.retrieve(video.id))
    second = await settle(run.client.videos.retrieve(video.id))

    assert first == second == video


async def a_video_that_failed_says_why(run: Run) -> None:
    video = await settle(run.client.videos.create_and_poll(prompt="fail now"))

    assert video.status == "failed"
    assert video.error.code
    assert video.error.message


async def an_unknown_video_is_not_found(run: Run) -> None:
    calls = (
        lambda: run.client.videos.retrieve("video_unheard_of"),
        lambda: run.client.videos.delete("video_unheard_of"),
        lambda: run.client.videos.download_content("video_unheard_of"),
        lambda: run.client.videos.remix("video_unheard_of", prompt=PROMPT),
    )
    for call in calls:
        error = await refusal(call)

        assert isinstance(error, run.openai.NotFoundError)


async def list_pages_through_all_videos_in_both_orders(run: Run) -> None:
    await _delete_all(run)
    made = [(await _made(run)).id for _ in range(5)]

    for order, expected in (("asc", made), ("desc", made[::-1])):
        run.exchanges.clear()
        page = await settle(run.client.videos.list(limit=2, order=order))

        assert [video.id async for video in each(page)] == expected
        assert page.has_more
        assert page.last_id == expected[1]
        assert len(run.exchanges) == 3


async def list_starts_behind_a_video(run: Run) -> None:
    await _delete_all(run)
    first, second = [(await _made(run)).id for _ in range(2)]

    page = await settle(run.client.videos.list(after=second))

    assert [video.id for video in page.data] == [first]
    assert page.has_more is False


async def delete_takes_the_video_away(run: Run) -> None:
    video = await _made(run)

    deleted = await settle(run.client.videos.delete(video.id))

    assert (deleted.id, deleted.object, deleted.deleted) == (video.id, "video.deleted", True)
    for method in (run.client.videos.retrieve, run.client.videos.download_content):
        error = await refusal(lambda method=method: method(video.id))
        assert isinstance(error, run.openai.NotFoundError)


async def delete_stops_a_video_that_is_being_made(run: Run) -> None:
    ear = Ear(run.path("ear"))
    video = await settle(run.client.videos.create(prompt=f"last {ear}"))
    assert ear.heard() == "started"

    deleted = await settle(run.client.videos.delete(video.id))

    assert deleted.deleted is True
    assert ear.heard() == "cancelled"


async def download_content_gives_every_variant(run: Run) -> None:
    video = await _made(run)
    variants = {"video": ("mp4",), "thumbnail": ("webp",), "spritesheet": ("jpeg",)}

    for variant, kinds in variants.items():
        content = await settle(run.client.videos.download_content(video.id, variant=variant))
        assert kind_of(await _read(content)) in kinds, variant


async def download_content_without_a_variant_gives_the_video(run: Run) -> None:
    video = await _made(run)

    content = await settle(run.client.videos.download_content(video.id))

    assert content.response.headers["content-type"] == "video/mp4"
    assert kind_of(await _read(content)) == "mp4"


async def an_unknown_variant_is_refused_by_name(run: Run) -> None:
    video = await _made(run)

    error = await refusal(lambda: run.client.videos.download_content(video.id, variant="gif"))

    assert (error.status_code, error.param) == (400, "variant")


async def content_of_a_video_that_is_not_made_yet_is_refused_once(run: Run) -> None:
    gate = Gate(run.path("gate"))
    video = await settle(run.client.videos.create(prompt=f"wait {gate}"))
    run.exchanges.clear()

    error = await refusal(lambda: run.client.videos.download_content(video.id))
    gate.open()

    assert isinstance(error, run.openai.BadRequestError)
    assert error.code == "video_not_ready"
    assert len(run.exchanges) == 1


async def content_can_be_streamed_to_a_file(run: Run) -> None:
    video = await _made(run)
    path = run.folder / f"{video.id}.mp4"
    streaming = run.client.videos.with_streaming_response

    if run.style == "sync":
        with streaming.download_content(video.id) as content:
            content.stream_to_file(path)
    else:
        async with streaming.download_content(video.id) as content:
            await content.stream_to_file(path)

    assert kind_of(path.read_bytes()) == "mp4"


async def _made(run: Run, **options: Any) -> Any:
    call = run.client.videos.create_and_poll(prompt=PROMPT, poll_interval_ms=50, **options)
    return await settle(call)


async def _delete_all(run: Run) -> None:
    videos = [video.id async for video in each(await settle(run.client.videos.list(limit=100)))]
    for video in videos:
        await settle(run.client.videos.delete(video))


async def _read(content: Any) -> bytes:
    return content.read() if hasattr(content, "read") else await content.aread()
