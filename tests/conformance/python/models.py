"""Cases of `models`."""

from tests.conformance.python.checks import each, refusal, settle
from tests.conformance.python.run import Run


async def list_names_what_is_served(run: Run) -> None:
    models = [model async for model in each(await _page(run))]

    assert models
    for model in models:
        assert model.object == "model"
        assert isinstance(model.created, int)
        assert model.owned_by


async def retrieve_gives_one_of_the_list(run: Run) -> None:
    [model, *_] = [model async for model in each(await _page(run))]

    assert (await settle(run.client.models.retrieve(model.id))) == model


async def an_unknown_model_is_not_found(run: Run) -> None:
    error = await refusal(lambda: run.client.models.retrieve("gpt-unheard-of"))

    assert isinstance(error, run.openai.NotFoundError)


async def a_model_cannot_be_deleted(run: Run) -> None:
    [model, *_] = [model async for model in each(await _page(run))]

    error = await refusal(lambda: run.client.models.delete(model.id))

    assert error.status_code == 405
    assert len(run.exchanges) == 2


async def _page(run: Run) -> object:
    return await settle(run.client.models.list())
