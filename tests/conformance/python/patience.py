"""Cases that take ten seconds each; only a run of all SDKs has the time."""

from tests.conformance.python.checks import Ear, raised
from tests.conformance.python.run import Run


async def an_image_that_no_retry_comes_for_is_cancelled(run: Run) -> None:
    ear = Ear(run.path("ear"))
    hasty = run.client.with_options(max_retries=0, timeout=1.5)

    await raised(run.openai.APITimeoutError, lambda: hasty.images.generate(prompt=f"last {ear}"))

    assert [ear.heard(), ear.heard()] == ["started", "cancelled"]
