"""The models: the pipeline that is served."""

import json
import time
from pathlib import Path

import grpc

from telefuser_grpc._gen.telefuser.rest.v1 import (
    rest_docs_service_pb2,
    rest_docs_service_pb2_grpc,
)
from telefuser_grpc.server.server import Server
from tests.server.backend import MAX_MESSAGE_BYTES, Backend
from tests.server.openai.images_face import CONTRACT, Face
from tests.server.openai.video_caller import VideoCaller


async def test_list_has_the_served_pipeline(loading: Backend) -> None:
    loading.open(CONTRACT)

    told = (await Face(loading).list_models()).json

    (model,) = told["data"]
    assert told["object"] == "list"
    assert model.keys() == {"id", "object", "created", "owned_by"}
    assert (model["id"], model["object"], model["owned_by"]) == ("painter", "model", "telefuser")
    assert 0 <= time.time() - model["created"] < 600


async def test_model_is_found_by_its_name(loading: Backend) -> None:
    loading.open(CONTRACT)
    face = Face(loading)

    assert (await face.model("painter")).json == (await face.list_models()).json["data"][0]


async def test_another_model_is_404(loading: Backend) -> None:
    loading.open(CONTRACT)

    answer = await Face(loading).model("gpt-image-1")

    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert answer.json["detail"] == error["message"]
    assert answer.headers["x-should-retry"] == "false"


async def test_models_are_503_before_the_pipeline_is_loaded(loading: Backend) -> None:
    answer = await Face(loading).list_models()

    assert (answer.status, answer.json["error"]["code"]) == (503, "pipeline_not_ready")
    assert answer.headers["retry-after"]


async def test_interface_that_is_switched_off_is_404(tmp_path: Path) -> None:
    backend = Backend(tmp_path)
    backend.open(CONTRACT)
    address = f"unix:{tmp_path}/other.sock"
    server = Server(
        address, backend.use_cases, max_message_bytes=MAX_MESSAGE_BYTES, serves_openai=False
    )
    await server.start()
    async with grpc.aio.insecure_channel(address) as backend.channel:
        face = Face(backend)
        models = await face.list_models()
        images = await face.generate({"prompt": "p"})
        videos = await VideoCaller(backend).create()
        docs = rest_docs_service_pb2_grpc.RestDocsServiceStub(backend.channel)
        described = await docs.GetOpenApi(rest_docs_service_pb2.GetOpenApiRequest())
    await server.stop(0)

    paths = json.loads(described.body.data)["paths"]
    assert "/v1/tasks/create" in paths
    assert not {"/v1/models", "/v1/images/generations", "/v1/videos"} & paths.keys()
    for answer in (models, images, videos):
        assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")
        assert answer.json["detail"] == "Not Found"
