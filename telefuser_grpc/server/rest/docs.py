"""The interactive documentation: the OpenAPI document, and the pages that show it."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.telefuser.rest.v1 import rest_docs_service_pb2 as pb
from telefuser_grpc._gen.telefuser.rest.v1.rest_docs_service_pb2_grpc import RestDocsServiceServicer
from telefuser_grpc.errors import ArtifactNotFound
from telefuser_grpc.server.rpc import Context

FOLDER = Path(__file__).parents[1] / "docs_assets"
HTML = "text/html; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"
STYLE = "text/css; charset=utf-8"
ASSETS = {
    "swagger-ui-bundle.js": SCRIPT,
    "swagger-ui.css": STYLE,
    "swagger.js": SCRIPT,
    "redoc.standalone.js": SCRIPT,
    "redoc.js": SCRIPT,
    "studio.html": HTML,
    "studio.css": STYLE,
    "studio.js": SCRIPT,
    "session.html": HTML,
    "session.css": STYLE,
    "session.js": SCRIPT,
}
ASKED_EACH_TIME = "no-cache"
KEPT = "public, max-age=86400"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # both pages write style elements
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",  # answers of requests that are tried out
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src blob:",  # ReDoc's search
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Something that is sent as it is."""

    content_type: str
    data: bytes
    caching: str = ASKED_EACH_TIME

    @property
    def etag(self) -> str:
        """Its strong entity tag."""
        return f'"{hashlib.sha256(self.data).hexdigest()[:32]}"'


class RestDocsServicer(RestDocsServiceServicer):
    """Answers `telefuser.rest.v1.RestDocsService`.

    Args:
        describe: Returns the OpenAPI document; called when somebody asks for it, and once.
    """

    def __init__(self, describe: Callable[[], Mapping[str, Any]]) -> None:
        self._describe = describe

    async def GetOpenApi(
        self, request: pb.GetOpenApiRequest, context: Context
    ) -> pb.GetOpenApiResponse:
        return pb.GetOpenApiResponse(body=await _send(lambda: self._openapi, context))

    async def GetSwaggerUi(
        self, request: pb.GetSwaggerUiRequest, context: Context
    ) -> pb.GetSwaggerUiResponse:
        return pb.GetSwaggerUiResponse(body=await _send(lambda: _html("swagger"), context))

    async def GetRedoc(self, request: pb.GetRedocRequest, context: Context) -> pb.GetRedocResponse:
        return pb.GetRedocResponse(body=await _send(lambda: _html("redoc"), context))

    async def GetDocsAsset(
        self, request: pb.GetDocsAssetRequest, context: Context
    ) -> pb.GetDocsAssetResponse:
        if request.name not in ASSETS:
            raise ArtifactNotFound(request.name)
        return pb.GetDocsAssetResponse(body=await _send(lambda: _asset(request.name), context))

    @cached_property
    def _openapi(self) -> Page:
        text = json.dumps(self._describe(), ensure_ascii=False, separators=(",", ":"))
        return Page(content_type="application/json", data=text.encode())


async def _send(read: Callable[[], Page], context: Context) -> HttpBody:
    """Sends the headers, and returns the body unless the caller has it."""
    page, tag = await asyncio.to_thread(_tagged, read)
    headers = (
        ("etag", tag),
        ("cache-control", page.caching),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
    )
    if _has(tag, context):
        await context.send_initial_metadata((*headers, ("x-http-status", "304")))
        return HttpBody(content_type=page.content_type)
    await context.send_initial_metadata(headers)
    return HttpBody(content_type=page.content_type, data=page.data)


def _tagged(read: Callable[[], Page]) -> tuple[Page, str]:
    page = read()
    return page, page.etag


def _has(tag: str, context: Context) -> bool:
    metadata = context.invocation_metadata() or ()
    conditions = [str(value) for key, value in metadata if key == "if-none-match"]
    known = [each.strip().removeprefix("W/") for line in conditions for each in line.split(",")]
    return "*" in known or tag in known


def _html(name: str) -> Page:
    return Page(content_type=HTML, data=(FOLDER / f"{name}.html").read_bytes())


def _asset(name: str) -> Page:
    return Page(content_type=ASSETS[name], data=(FOLDER / name).read_bytes(), caching=KEPT)
