"""Cases that take up to ten seconds each; only a run of all SDKs has the time."""

from tests.conformance.python.checks import Ear, raised, refusal, settle
from tests.conformance.python.run import Run


async def an_image_that_no_retry_comes_for_is_cancelled(run: Run) -> None:
    ear = Ear(run.path("ear"))
    hasty = run.client.with_options(max_retries=0, timeout=1.5)

    await raised(run.openai.APITimeoutError, lambda: hasty.images.generate(prompt=f"last {ear}"))

    assert [ear.heard(), ear.heard()] == ["started", "cancelled"]


async def too_many_requests_are_refused_and_tried_again(run: Run) -> None:
    hasty = run.once()

    while True:
        error = await refusal(lambda: hasty.images.generate(prompt="a circle", size="banana"))
        if error.status_code == 429:
            break
    answer = await settle(run.client.images.generate(prompt="a circle"))

    assert isinstance(error, run.openai.RateLimitError)
    assert error.code == "rate_limit_exceeded"
    assert 0 < int(error.response.headers["retry-after"]) <= 10
    assert answer.data
