"""Cases of errors: the class that the SDK raises, and what it tells."""

from tests.conformance.python.checks import raised, refusal, settle
from tests.conformance.python.run import Run

PROMPT = "a red circle"


async def a_wrong_value_is_refused_by_the_name_of_its_field(run: Run) -> None:
    wrong = ({"size": "banana"}, {"n": 11}, {"n": 0}, {"quality": "best"}, {"size": "0x9"})
    for options in wrong:
        error = await refusal(
            lambda options=options: run.client.images.generate(prompt=PROMPT, **options)
        )

        assert isinstance(
            error, run.openai.BadRequestError | run.openai.UnprocessableEntityError
        ), options
        assert [error.param] == list(options), error.body
        assert error.type == "invalid_request_error"


async def a_wrong_value_is_refused_at_once(run: Run) -> None:
    await refusal(lambda: run.client.images.generate(prompt=PROMPT, size="banana"))

    [exchange] = run.exchanges
    assert exchange.headers["x-should-retry"] == "false"


async def an_empty_prompt_is_refused(run: Run) -> None:
    error = await refusal(lambda: run.client.images.generate(prompt=""))

    assert error.status_code in (400, 422)
    assert error.param == "prompt"


async def an_edit_without_a_picture_is_refused(run: Run) -> None:
    error = await refusal(
        lambda: run.client.post("/images/edits", body={"prompt": PROMPT}, cast_to=object)
    )

    assert error.status_code in (400, 415, 422)


async def an_unknown_path_is_not_found(run: Run) -> None:
    error = await refusal(lambda: run.client.post("/videos/v/nothing", body={}, cast_to=object))

    assert isinstance(error, run.openai.NotFoundError)


async def an_interface_that_is_not_served_is_not_found(run: Run) -> None:
    error = await raised(
        run.openai.NotFoundError, lambda: run.client.embeddings.create(model="m", input="text")
    )

    assert error.request_id


async def a_task_that_fails_is_told_once(run: Run) -> None:
    error = await refusal(lambda: run.client.images.generate(prompt="fail now"))

    assert isinstance(error, run.openai.InternalServerError)
    assert len(run.exchanges) == 1


async def every_answer_has_the_id_of_its_request(run: Run) -> None:
    answer = await settle(run.client.images.generate(prompt=PROMPT))
    raw = await settle(run.client.models.with_raw_response.list())

    assert answer._request_id == run.exchanges[0].headers["x-request-id"]
    assert raw.headers["x-request-id"] == run.exchanges[1].headers["x-request-id"]


async def an_error_has_the_id_of_its_request(run: Run) -> None:
    error = await refusal(lambda: run.client.models.retrieve("gpt-unheard-of"))

    assert error.request_id == run.exchanges[0].headers["x-request-id"]
