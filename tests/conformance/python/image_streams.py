"""Cases of `images` with `stream`: previews of the denoising, then the picture."""

import base64
from typing import Any

from tests.conformance.python.checks import Ear, each, is_recent, kind_of, raised, refusal, settle
from tests.conformance.python.run import Run

PROMPT = "a red circle"


async def a_stream_ends_with_the_picture(run: Run) -> None:
    for count in range(4):
        events = await _events(run.client.images.generate, prompt=PROMPT, partial_images=count)

        *partials, completed = events
        assert completed.type == "image_generation.completed"
        assert kind_of(base64.b64decode(completed.b64_json)) == "png"
        assert [event.partial_image_index for event in partials] == list(range(len(partials)))
        assert len(partials) <= count


async def a_stream_begins_with_previews(run: Run) -> None:
    events = await _events(run.client.images.generate, prompt=PROMPT, partial_images=3)

    assert len(events) > 1
    for event in events[:-1]:
        assert isinstance(event, run.openai.types.ImageGenPartialImageEvent)
        assert event.type == "image_generation.partial_image"
        assert kind_of(base64.b64decode(event.b64_json)) in ("png", "jpeg", "webp")


async def every_event_has_what_its_type_promises(run: Run) -> None:
    events = await _events(run.client.images.generate, prompt=PROMPT, partial_images=1)

    for event in events:
        assert is_recent(event.created_at)
        assert event.background in ("transparent", "opaque", "auto")
        assert event.output_format in ("png", "webp", "jpeg")
        assert event.quality
        assert event.size
    usage = events[-1].usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.input_tokens_details.text_tokens >= 0


async def an_edit_streams_too(run: Run) -> None:
    image = run.media / "still.png"

    events = await _events(run.client.images.edit, image=image, prompt=PROMPT, partial_images=2)

    assert events[-1].type == "image_edit.completed"
    assert {event.type for event in events[:-1]} <= {"image_edit.partial_image"}
    assert isinstance(events[-1], run.openai.types.ImageEditCompletedEvent)


async def a_failure_in_a_stream_is_an_api_error(run: Run) -> None:
    generate = run.client.images.generate

    error = await raised(
        run.openai.APIError, lambda: _events(generate, prompt="fail now", partial_images=1)
    )

    assert error.message
    assert error.code


async def what_is_wrong_with_a_request_is_told_before_the_stream(run: Run) -> None:
    error = await refusal(
        lambda: run.client.images.generate(prompt=PROMPT, size="banana", stream=True)
    )

    assert error.status_code in (400, 422)
    assert error.param == "size"


async def leaving_a_stream_cancels_the_task(run: Run) -> None:
    ear = Ear(run.path("ear"))
    stream = await settle(
        run.client.images.generate(prompt=f"last {ear}", stream=True, partial_images=1)
    )
    async for _ in each(stream):
        break

    await settle(stream.close())

    assert [ear.heard(), ear.heard()] == ["started", "cancelled"]


async def _events(method: Any, **options: Any) -> list[Any]:
    stream = await settle(method(stream=True, **options))
    return [event async for event in each(stream)]
