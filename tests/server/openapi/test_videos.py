"""The OpenAI videos answer what the document says, and take what it says."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from telefuser_grpc.errors import PipelineFailed
from telefuser_grpc.server.openai.video_bodies import CreateVideoBody, SourceVideoBody, VideoBody
from telefuser_grpc.server.openapi.document import document
from telefuser_grpc.server.openapi.video_bodies import DeletedVideo, VideoObject, VideoPage
from tests.fakes.replicas import Script
from tests.server.backend import HANGS, Backend
from tests.server.openai.video_caller import VIDEO_CONTRACT, VideoCaller

PATHS = document()["paths"]


@pytest.fixture
def videos(loading: Backend) -> VideoCaller:
    loading.open(VIDEO_CONTRACT)
    loading.pool.script = Script()
    return VideoCaller(loading)


def assert_is(model: type[BaseModel], body: Any) -> None:
    """Every field has its type, and no field is there that the model does not name."""
    model.model_validate_json(json.dumps(body), strict=True, extra="forbid")


@pytest.mark.parametrize("script", [Script(), Script(error=PipelineFailed("no")), HANGS])
async def test_video_is_as_documented(videos: VideoCaller, script: Script) -> None:
    videos.backend.pool.script = script
    created = (await videos.create()).json
    assert_is(VideoObject, created)
    if script is not HANGS:
        await videos.backend.ended(created["id"])

    assert_is(VideoObject, (await videos.get(created["id"])).json)


async def test_page_and_deletion_are_as_documented(videos: VideoCaller) -> None:
    assert_is(VideoPage, (await videos.list()).json)
    video_id = await videos.made()

    assert_is(VideoPage, (await videos.list()).json)
    assert_is(DeletedVideo, (await videos.delete(video_id)).json)


@pytest.mark.parametrize(
    ("path", "model", "types"),
    [
        ("/v1/videos", CreateVideoBody, {"application/json", "multipart/form-data"}),
        ("/v1/videos/edits", SourceVideoBody, {"application/json", "multipart/form-data"}),
        ("/v1/videos/extensions", SourceVideoBody, {"application/json", "multipart/form-data"}),
        ("/v1/videos/{video_id}/remix", VideoBody, {"application/json"}),
    ],
)
def test_every_field_of_a_body_is_documented(
    path: str, model: type[BaseModel], types: set[str]
) -> None:
    contents = PATHS[path]["post"]["requestBody"]["content"]

    assert contents.keys() == types
    for content in contents.values():
        fields = content["schema"]["properties"]
        assert fields.keys() == model.model_fields.keys()
        assert all(field["description"] for field in fields.values())


def test_video_that_is_told_of_says_when_to_ask_again() -> None:
    for verb, path in (("post", "/v1/videos"), ("get", "/v1/videos/{video_id}")):
        assert "OpenAI-Poll-After-Ms" in PATHS[path][verb]["responses"]["200"]["headers"]


def test_file_of_a_video_may_come_in_parts() -> None:
    for verb in ("get", "head"):
        answers = PATHS["/v1/videos/{video_id}/content"][verb]["responses"]
        assert {"200", "206", "304", "400", "404", "416"} <= answers.keys()
