"""Cases of API keys."""

from tests.conformance.python.checks import each, raised, refusal, settle
from tests.conformance.python.run import Run
from tests.conformance.python.since import since


async def a_wrong_key_is_an_authentication_error_told_once(run: Run) -> None:
    stranger = run.client.with_options(api_key="nobody")

    error = await refusal(lambda: stranger.images.generate(prompt="a circle"))

    assert isinstance(error, run.openai.AuthenticationError)
    assert error.code == "invalid_api_key"
    assert len(run.exchanges) == 1


@since(2, 2)
async def videos_of_another_caller_are_not_found(run: Run) -> None:
    video = await settle(run.client.videos.create_and_poll(prompt="a circle", poll_interval_ms=50))
    other = run.client.with_options(api_key=run.other_key)

    page = await settle(other.videos.list(limit=100))

    assert video.id not in [item.id async for item in each(page)]
    for method in (other.videos.retrieve, other.videos.delete, other.videos.download_content):
        await raised(run.openai.NotFoundError, lambda method=method: method(video.id))
