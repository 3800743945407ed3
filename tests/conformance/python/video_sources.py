"""Cases of `videos` that start from another video: remix, edit, extend, characters."""

from typing import Any

from tests.conformance.python.checks import Gate, refusal, settle
from tests.conformance.python.run import Run
from tests.conformance.python.since import since

SINCE = (2, 2)
PROMPT = "the same in blue"


async def remix_makes_a_new_video_from_a_completed_one(run: Run) -> None:
    source = await _made(run)

    remix = await settle(run.client.videos.remix(source.id, prompt=PROMPT))

    assert remix.id != source.id
    assert remix.remixed_from_video_id == source.id
    assert remix.prompt == PROMPT
    assert (await _followed(run, remix.id)).status == "completed"


async def remix_of_a_video_that_is_not_made_yet_is_refused(run: Run) -> None:
    gate = Gate(run.path("gate"))
    source = await settle(run.client.videos.create(prompt=f"wait {gate}"))

    error = await refusal(lambda: run.client.videos.remix(source.id, prompt=PROMPT))
    gate.open()

    assert isinstance(error, run.openai.BadRequestError)
    assert error.code == "video_not_ready"


@since(2, 27)
async def edit_makes_a_new_video_from_a_file(run: Run) -> None:
    with (run.media / "clip.mp4").open("rb") as clip:
        video = await settle(run.client.videos.edit(prompt=PROMPT, video=clip))

    assert (await _followed(run, video.id)).status == "completed"


@since(2, 27)
async def extend_continues_a_file(run: Run) -> None:
    with (run.media / "clip.mp4").open("rb") as clip:
        video = await settle(run.client.videos.extend(prompt=PROMPT, seconds="4", video=clip))

    assert (await _followed(run, video.id)).status == "completed"


@since(2, 27)
async def extend_refuses_a_file_that_is_no_video(run: Run) -> None:
    clip = ("clip.mp4", b"no film at all", "video/mp4")

    error = await refusal(lambda: run.client.videos.extend(prompt=PROMPT, seconds="4", video=clip))

    assert error.status_code in (400, 422)
    assert error.param == "video"


@since(2, 27)
async def characters_are_refused_as_unsupported(run: Run) -> None:
    clip = run.media / "clip.mp4"

    error = await refusal(lambda: run.client.videos.create_character(name="Ada", video=clip))

    assert isinstance(error, run.openai.BadRequestError)
    assert error.code == "unsupported"


@since(2, 27)
async def a_character_is_not_found(run: Run) -> None:
    error = await refusal(lambda: run.client.videos.get_character("char_ada"))

    assert isinstance(error, run.openai.NotFoundError)


async def _made(run: Run) -> Any:
    call = run.client.videos.create_and_poll(prompt="a red circle", poll_interval_ms=50)
    return await settle(call)


async def _followed(run: Run, video_id: str) -> Any:
    return await settle(run.client.videos.poll(video_id, poll_interval_ms=50))
