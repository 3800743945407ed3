"""Cases of errors of `videos`."""

from tests.conformance.python.checks import refusal
from tests.conformance.python.run import Run

SINCE = (2, 2)
PROMPT = "a red circle"


async def a_wrong_value_is_refused_by_the_name_of_its_field(run: Run) -> None:
    for options in ({"seconds": "90"}, {"seconds": "soon"}, {"size": "banana"}):
        error = await refusal(
            lambda options=options: run.client.videos.create(prompt=PROMPT, **options)
        )

        assert error.status_code in (400, 422), options
        assert [error.param] == list(options), error.body


async def a_reference_that_is_no_picture_is_refused(run: Run) -> None:
    reference = ("a.png", b"not a picture at all", "image/png")

    error = await refusal(
        lambda: run.client.videos.create(prompt=PROMPT, input_reference=reference)
    )

    assert error.status_code in (400, 422)
    assert error.param == "input_reference"


async def an_empty_prompt_is_refused(run: Run) -> None:
    error = await refusal(lambda: run.client.videos.create(prompt=""))

    assert error.status_code in (400, 422)
    assert error.param == "prompt"


async def a_page_behind_an_unknown_video_is_refused(run: Run) -> None:
    error = await refusal(lambda: run.client.videos.list(after="video_unheard_of"))

    assert (error.status_code, error.param) == (400, "after")


async def a_wrong_limit_or_order_is_refused(run: Run) -> None:
    for options in ({"limit": 0}, {"limit": 101}, {"order": "random"}):
        error = await refusal(lambda options=options: run.client.videos.list(**options))

        assert error.status_code in (400, 422)
        assert [error.param] == list(options)
