"""Cases of `images`: pictures in one answer."""

import base64

from tests.conformance.python.checks import (
    fetched,
    is_recent,
    kind_of,
    picture_of,
    refusal,
    settle,
    size_of,
)
from tests.conformance.python.run import Run

PROMPT = "a red circle"
QUALITIES = ("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd")
BACKGROUNDS = ("auto", "opaque")


async def generate_without_a_format_gives_a_picture(run: Run) -> None:
    answer = await settle(run.client.images.generate(prompt=PROMPT))

    [image] = answer.data
    assert is_recent(answer.created)
    assert kind_of(picture_of(image)) == "png"


async def generate_gives_a_url_that_leads_to_the_picture(run: Run) -> None:
    answer = await settle(run.client.images.generate(prompt=PROMPT, response_format="url"))

    [image] = answer.data
    assert image.b64_json is None
    assert kind_of(fetched(image.url)) == "png"


async def generate_gives_base64(run: Run) -> None:
    answer = await settle(run.client.images.generate(prompt=PROMPT, response_format="b64_json"))

    [image] = answer.data
    assert image.url is None
    assert kind_of(base64.b64decode(image.b64_json, validate=True)) == "png"


async def generate_makes_as_many_as_n(run: Run) -> None:
    answer = await settle(run.client.images.generate(prompt=PROMPT, n=3))

    assert [kind_of(picture_of(image)) for image in answer.data] == ["png"] * 3


async def images_of_one_call_differ(run: Run) -> None:
    answer = await settle(run.client.images.generate(prompt=PROMPT, n=3, extra_body={"seed": 7}))

    assert len({picture_of(image) for image in answer.data}) == 3


async def generate_makes_the_size_that_is_asked_for(run: Run) -> None:
    answer = await settle(run.client.images.generate(prompt=PROMPT, size="256x512"))

    assert size_of(picture_of(answer.data[0])) == (256, 512)
    assert getattr(answer, "size", None) in (None, "256x512")


async def generate_takes_the_size_auto(run: Run) -> None:
    answer = await settle(run.client.images.generate(prompt=PROMPT, size="auto"))

    assert kind_of(picture_of(answer.data[0])) == "png"


async def generate_takes_every_quality(run: Run) -> None:
    for quality in QUALITIES:
        answer = await settle(run.client.images.generate(prompt=PROMPT, quality=quality))

        assert kind_of(picture_of(answer.data[0])) == "png", quality


async def generate_makes_the_output_format_that_is_asked_for(run: Run) -> None:
    for output_format in ("png", "jpeg", "webp"):
        call = run.client.images.generate(
            prompt=PROMPT, output_format=output_format, output_compression=80
        )
        answer = await settle(call)

        assert kind_of(picture_of(answer.data[0])) == output_format
        assert getattr(answer, "output_format", None) in (None, output_format)


async def an_official_output_format_that_cannot_be_made_is_not_claimed(run: Run) -> None:
    for output_format in ("gif", "svg"):
        call = run.client.images.generate(prompt=PROMPT, output_format=output_format)
        answer = await settle(call)

        assert answer.output_format == kind_of(picture_of(answer.data[0]))


async def an_unknown_output_format_is_refused_by_name(run: Run) -> None:
    error = await refusal(lambda: run.client.images.generate(prompt=PROMPT, output_format="bmp"))

    assert error.status_code in (400, 422)
    assert error.param == "output_format"


async def generate_takes_the_backgrounds(run: Run) -> None:
    for background in BACKGROUNDS:
        answer = await settle(run.client.images.generate(prompt=PROMPT, background=background))

        assert kind_of(picture_of(answer.data[0])) == "png"
        assert getattr(answer, "background", None) in (None, "opaque", background)


async def generate_takes_what_the_pipeline_has_no_use_for(run: Run) -> None:
    call = run.client.images.generate(
        prompt=PROMPT,
        model="gpt-image-2",
        style="natural",
        moderation="low",
        user="somebody",
        extra_body={"safety_identifier": "somebody", "complexity": "low", "unheard_of": [1, None]},
    )
    answer = await settle(call)

    assert kind_of(picture_of(answer.data[0])) == "png"


async def the_seed_decides_and_zero_is_one(run: Run) -> None:
    async def picture(seed: int) -> bytes:
        call = run.client.images.generate(prompt=PROMPT, extra_body={"seed": seed})
        return picture_of((await settle(call)).data[0])

    assert await picture(0) == await picture(0)
    assert await picture(0) != await picture(42)


async def edit_starts_from_a_file(run: Run) -> None:
    with (run.media / "still.png").open("rb") as still:
        answer = await settle(run.client.images.edit(image=still, prompt=PROMPT))

    assert kind_of(picture_of(answer.data[0])) == "png"
    assert run.exchanges[0].sent["content-type"].startswith("multipart/form-data")


async def edit_takes_a_path_bytes_and_a_named_part(run: Run) -> None:
    path = run.media / "still.png"
    for image in (path, path.read_bytes(), ("still.png", path.read_bytes(), "image/png")):
        answer = await settle(run.client.images.edit(image=image, prompt=PROMPT))

        assert kind_of(picture_of(answer.data[0])) == "png"


async def edit_takes_a_list_of_files(run: Run) -> None:
    images = [run.media / "still.png", run.media / "other.png"]
    answer = await settle(run.client.images.edit(image=images, prompt=PROMPT))

    assert kind_of(picture_of(answer.data[0])) == "png"


async def edit_takes_a_mask_and_all_options(run: Run) -> None:
    call = run.client.images.edit(
        image=run.media / "still.png",
        mask=run.media / "mask.png",
        prompt=PROMPT,
        n=2,
        size="256x256",
        quality="high",
        background="auto",
        input_fidelity="high",
        response_format="b64_json",
        user="somebody",
        extra_body={"seed": 7},
    )
    answer = await settle(call)

    assert [kind_of(base64.b64decode(image.b64_json)) for image in answer.data] == ["png"] * 2


async def edit_refuses_a_file_that_is_no_picture(run: Run) -> None:
    image = ("note.png", b"not a picture at all", "image/png")

    error = await refusal(lambda: run.client.images.edit(image=image, prompt=PROMPT))

    assert error.status_code in (400, 422)
    assert error.param == "image"


async def create_variation_starts_from_a_file(run: Run) -> None:
    call = run.client.images.create_variation(image=run.media / "still.png", n=2, size="256x256")
    answer = await settle(call)

    assert [kind_of(picture_of(image)) for image in answer.data] == ["png"] * 2


async def usage_counts_tokens_where_it_is_told(run: Run) -> None:
    answer = await settle(run.client.images.generate(prompt=PROMPT))

    if usage := getattr(answer, "usage", None):
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens
