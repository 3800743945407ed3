"""The OpenAI images and models: what they answer is as documented, errors too."""

from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema_rs
import pytest

from telefuser_grpc.server.openapi.document import document
from telefuser_grpc.server.openapi.image_bodies import Images, Model, ModelList
from telefuser_grpc.server.openapi.image_operations import EVENT
from telefuser_grpc.server.openapi.openai_errors import OpenAIError
from tests.server.backend import Backend
from tests.server.openai.images_face import CONTRACT, DRAWS, PNG, Face, events
from tests.server.openapi.test_answers import assert_is

PATHS = document()["paths"]


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    async with Backend(tmp_path) as backend:
        backend.open(CONTRACT)
        backend.pool.script = DRAWS
        yield Face(backend)


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
async def test_images_are_as_documented(face: Face, response_format: str) -> None:
    answer = await face.generate({"prompt": "p", "response_format": response_format})

    assert_is(Images, answer.json)


async def test_models_are_as_documented(face: Face) -> None:
    assert_is(ModelList, (await face.list_models()).json)
    assert_is(Model, (await face.model("painter")).json)


async def test_errors_are_as_documented(face: Face) -> None:
    answers = [
        await face.generate({}),
        await face.generate(b"{"),
        await face.edit({"prompt": "p"}, {"image": ("a.png", b"x", "image/png")}),
        await face.model("other"),
        await face.content("none"),
    ]

    for answer in answers:
        assert_is(OpenAIError, answer.json)


async def test_names_of_events_are_as_documented(face: Face) -> None:
    names = EVENT["properties"]["event"]["enum"]

    made = events((await face.generate({"prompt": "p", "stream": True})).body)
    edited = events((await face.edit({"prompt": "p", "stream": "true"}, {"image": PNG})).body)

    assert {each["type"] for each in (*made, *edited)} <= set(names)


@pytest.mark.parametrize(
    ("path", "required"),
    [("generations", ["prompt"]), ("edits", ["prompt"]), ("variations", ["image"])],
)
def test_fields_are_documented_and_the_needed_ones_named(path: str, required: list[str]) -> None:
    operation = PATHS[f"/v1/images/{path}"]["post"]

    for content in operation["requestBody"]["content"].values():
        jsonschema_rs.meta.validate(content["schema"])
        assert content["schema"]["required"] == required
        for name, field in content["schema"]["properties"].items():
            assert field.get("description"), name
    assert {"400", "408", "409", "413", "422", "429", "500", "503", "504", "507"} <= {
        *operation["responses"]
    }
