"""Cases of retries: what is lost on the way, comes twice, or comes to a full queue."""

import uuid

from tests.conformance.python.checks import Ear, Gate, each, raised, refusal, settle
from tests.conformance.python.run import Run
from tests.conformance.python.since import since


async def an_image_that_nobody_waits_for_is_cancelled(run: Run) -> None:
    ear = Ear(run.path("ear"))
    hasty = run.client.with_options(max_retries=0, timeout=1.5)
    headers = {"x-stainless-retry-count": run.openai.Omit()}

    await raised(
        run.openai.APITimeoutError,
        lambda: hasty.images.generate(prompt=f"last {ear}", extra_headers=headers),
    )

    assert [ear.heard(), ear.heard()] == ["started", "cancelled"]


@since(2, 2)
async def a_video_whose_answer_was_lost_is_made_once(run: Run) -> None:
    prompt = f"a circle {uuid.uuid4()}"
    dropped = run.client.with_options(base_url=run.dropping_url)

    video = await settle(dropped.videos.create(prompt=prompt))

    assert run.exchanges[-1].sent["x-stainless-retry-count"] == "1"
    assert await _videos_of(run, prompt) == [video.id]


@since(2, 2)
async def a_video_with_a_file_whose_answer_was_lost_is_made_once(run: Run) -> None:
    prompt = f"a circle {uuid.uuid4()}"
    dropped = run.client.with_options(base_url=run.dropping_url)

    video = await settle(
        dropped.videos.create(prompt=prompt, input_reference=run.media / "still.png")
    )

    assert await _videos_of(run, prompt) == [video.id]


@since(2, 2)
async def equal_videos_that_are_no_retries_are_made_each(run: Run) -> None:
    prompt = f"a circle {uuid.uuid4()}"

    videos = [await settle(run.client.videos.create(prompt=prompt)) for _ in range(2)]

    assert sorted(await _videos_of(run, prompt)) == sorted(video.id for video in videos)


@since(2, 2)
async def an_idempotency_key_makes_a_video_once(run: Run) -> None:
    prompt = f"a circle {uuid.uuid4()}"
    headers = {"Idempotency-Key": str(uuid.uuid4())}

    videos = [
        await settle(run.client.videos.create(prompt=prompt, extra_headers=headers))
        for _ in range(2)
    ]

    assert videos[0].id == videos[1].id
    assert await _videos_of(run, prompt) == [videos[0].id]


@since(2, 2)
async def an_idempotency_key_of_another_request_is_a_conflict_told_once(run: Run) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    await settle(run.client.videos.create(prompt="a circle", extra_headers=headers))
    run.exchanges.clear()

    error = await refusal(
        lambda: run.client.videos.create(prompt="a square", extra_headers=headers)
    )

    assert isinstance(error, run.openai.ConflictError)
    assert len(run.exchanges) == 1


@since(2, 2)
async def a_full_queue_says_when_there_may_be_room(run: Run) -> None:
    gate = Gate(run.path("gate"))

    error = await refusal(lambda: _filled(run, gate))
    gate.open()

    assert isinstance(error, run.openai.InternalServerError | run.openai.RateLimitError)
    assert error.code == "queue_full"
    assert 0 < int(error.response.headers["retry-after"]) <= 60


@since(2, 2)
async def a_full_queue_is_tried_again(run: Run) -> None:
    gate = Gate(run.path("gate"))
    await refusal(lambda: _filled(run, gate))
    run.exchanges.clear()
    run.on_refusal(gate.open)

    video = await settle(run.client.videos.create(prompt="a circle"))

    assert [exchange.status for exchange in run.exchanges][-1] == 200
    assert len(run.exchanges) > 1
    assert (await settle(run.client.videos.poll(video.id))).status == "completed"


async def _filled(run: Run, gate: Gate) -> None:
    async for video in each(await settle(run.client.videos.list(limit=100))):
        await settle(run.client.videos.poll(video.id, poll_interval_ms=50))
    for _ in range(20):
        await settle(run.once().videos.create(prompt=f"wait {gate}"))


async def _videos_of(run: Run, prompt: str) -> list[str]:
    page = await settle(run.client.videos.list(limit=100))
    return [video.id async for video in each(page) if video.prompt == prompt]
