"""The pages of the documentation, as the gateway asks for them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc._gen.telefuser.rest.v1 import rest_docs_service_pb2 as pb
from telefuser_grpc._gen.telefuser.rest.v1 import rest_docs_service_pb2_grpc
from telefuser_grpc.server.rest.docs import ASSETS, FOLDER
from tests.server.backend import Backend
from tests.server.rest.gateway import Answer, Gateway

PAGES = {
    "openapi": ("GetOpenApi", pb.GetOpenApiRequest()),
    "swagger": ("GetSwaggerUi", pb.GetSwaggerUiRequest()),
    "redoc": ("GetRedoc", pb.GetRedocRequest()),
    "style": ("GetDocsAsset", pb.GetDocsAssetRequest(name="swagger-ui.css")),
}
TYPES = {".css": "css", ".html": "html", ".js": "javascript"}


async def ask(backend: Backend, method: str, request: Any, **headers: str) -> Answer:
    stub = rest_docs_service_pb2_grpc.RestDocsServiceStub(backend.channel)
    return await Gateway(backend).ask(getattr(stub, method), request, **headers)


async def test_document_is_json_and_asked_for_each_time(backend: Backend) -> None:
    answer = await ask(backend, *PAGES["openapi"])

    assert (answer.status, answer.content_type) == (200, "application/json")
    assert json.loads(answer.body)["openapi"] == "3.1.0"
    assert answer.headers["cache-control"] == "no-cache"


async def test_document_is_there_before_a_pipeline_is_loaded(loading: Backend) -> None:
    assert (await ask(loading, *PAGES["openapi"])).status == 200


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("condition", ["{}", "W/{}", '"other", {}', "*"])
async def test_page_that_is_known_is_not_sent_again(
    backend: Backend, page: str, condition: str
) -> None:
    tag = (await ask(backend, *PAGES[page])).headers["etag"]

    answer = await ask(backend, *PAGES[page], if_none_match=condition.format(tag))

    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == tag


@pytest.mark.parametrize("page", PAGES)
async def test_page_that_was_another_is_sent(backend: Backend, page: str) -> None:
    answer = await ask(backend, *PAGES[page], if_none_match='"other"')

    assert answer.status == 200
    assert answer.body
    assert re.fullmatch(r'"[0-9a-f]{32}"', answer.headers["etag"])


async def test_tags_of_different_pages_differ(backend: Backend) -> None:
    tags = [(await ask(backend, *page)).headers["etag"] for page in PAGES.values()]

    assert len(set(tags)) == len(PAGES)


@pytest.mark.parametrize("name", ASSETS)
async def test_asset_has_its_type_and_may_be_kept(backend: Backend, name: str) -> None:
    answer = await ask(backend, "GetDocsAsset", pb.GetDocsAssetRequest(name=name))

    assert answer.status == 200
    assert answer.body == (FOLDER / name).read_bytes()
    assert answer.content_type == f"text/{TYPES[Path(name).suffix]}; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["", "none.js", "README.md", "../server.py", "swagger.html", "."])
async def test_what_is_no_asset_is_not_found(backend: Backend, name: str) -> None:
    answer = await ask(backend, "GetDocsAsset", pb.GetDocsAssetRequest(name=name))

    assert (answer.status, answer.detail) == (404, "File not found")


@pytest.mark.parametrize("page", ["swagger", "redoc"])
async def test_page_asks_no_other_host_and_runs_no_foreign_script(
    backend: Backend, page: str
) -> None:
    answer = await ask(backend, *PAGES[page])

    sources = re.findall(r'(?:src|href)="([^"]+)"', answer.body.decode())
    policy = answer.headers["content-security-policy"]
    assert answer.content_type == "text/html; charset=utf-8"
    assert b"<title>TeleFuser gRPC</title>" in answer.body
    assert all(each.startswith(("/docs/assets/", "/openapi.json", "data:")) for each in sources)
    assert {each.removeprefix("/docs/assets/") for each in sources if "assets" in each} <= set(
        ASSETS
    )
    assert "<script>" not in answer.body.decode()
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy


def test_vendored_scripts_name_no_host_to_load_from() -> None:
    for name in ASSETS:
        text = (FOLDER / name).read_text()
        assert "cdn." not in text, name
        assert "sourceMappingURL=" not in text.splitlines()[-1], name


def test_vendored_scripts_are_the_versions_that_the_readme_names() -> None:
    readme = (FOLDER / "README.md").read_text()

    for package, name in (
        ("swagger-ui-dist", "swagger-ui-bundle.js"),
        ("redoc", "redoc.standalone.js"),
    ):
        version = re.search(rf"`{package}` \| (\d+\.\d+\.\d+)", readme)
        assert version
        assert version[1] in (FOLDER / name).read_text(), package
