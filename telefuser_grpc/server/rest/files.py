"""The documented REST face of files: names them for the gateway, or streams them itself."""

import json
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote, unquote

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.rpc import status_pb2

from telefuser_grpc._gen.envoy.service.auth.v3 import external_auth_pb2 as auth
from telefuser_grpc._gen.envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationServicer
from telefuser_grpc._gen.telefuser.rest.v1 import rest_file_service_pb2 as pb
from telefuser_grpc._gen.telefuser.rest.v1.rest_file_service_pb2_grpc import RestFileServiceServicer
from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.errors import ArtifactNotFound, OffsetOutOfRange, TeleFuserError
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.server.chunks import file_chunks
from telefuser_grpc.server.rest.bodies import ErrorBody, error_body
from telefuser_grpc.server.rest.download import Download, plan_download
from telefuser_grpc.server.rpc import Context

PUBLIC_PREFIX = "/v1/files/download/"
INTERNAL_PREFIX = "/__artifacts/"
OVERWRITE = auth.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


class FileGuard(AuthorizationServicer):
    """Tells the gateway which file a download stands for; Envoy itself sends the bytes."""

    def __init__(self, library: Library, error_body: ErrorBody = error_body) -> None:
        self._library = library
        self._error_body = error_body

    async def Check(self, request: auth.CheckRequest, context: Context) -> auth.CheckResponse:
        asked = request.attributes.request.http
        try:
            return await self._answer(asked.path, asked.headers)
        except TeleFuserError as error:
            return _denied(error.http_status, {}, json.dumps(self._error_body(error)))

    async def _answer(self, path: str, headers: Mapping[str, str]) -> auth.CheckResponse:
        artifact = await self._library.find(_name(path))
        await self._library.open_path(artifact)
        download = plan_download(artifact, headers)
        match download.status:
            case 304:
                return _denied(304, download.headers, "")
            case 416:
                body = self._error_body(OffsetOutOfRange(artifact.size_bytes))
                return _denied(416, download.headers, json.dumps(body))
        return _allowed(artifact, download)


class RestFileServicer(RestFileServiceServicer):
    """Answers `telefuser.rest.v1.RestFileService`, for a gateway that cannot read our disk."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def DownloadFile(
        self, request: pb.DownloadFileRequest, context: Context
    ) -> AsyncIterator[pb.DownloadFileResponse]:
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        artifact = await self._library.find(request.file_path)
        path = await self._library.open_path(artifact)
        download = plan_download(artifact, metadata)
        if download.status == 416:
            raise OffsetOutOfRange(artifact.size_bytes)
        await context.send_initial_metadata(
            (
                *download.headers.items(),
                ("x-http-status", str(download.status)),
                ("x-content-length", str(download.stop - download.start)),
            )
        )
        content_type = artifact.facts.content_type
        is_head = metadata.get("x-envoy-original-method") == "HEAD"
        if is_head or download.status == 304:
            yield pb.DownloadFileResponse(body=HttpBody(content_type=content_type))
            return
        async for chunk in file_chunks(path, download.start, download.stop):
            yield pb.DownloadFileResponse(body=HttpBody(content_type=content_type, data=chunk))


def _name(path: str) -> str:
    """Returns the artifact's name in a request path, which may come with a query."""
    clean = unquote(path.partition("?")[0], errors="replace")
    if not clean.startswith(PUBLIC_PREFIX):
        raise ArtifactNotFound(clean)
    return clean.removeprefix(PUBLIC_PREFIX)


def _allowed(artifact: Artifact, download: Download) -> auth.CheckResponse:
    """Sends the request on to Envoy's file server, which only knows ranges with both ends."""
    path, added = artifact.path, dict(download.headers)
    if path != path.lower():  # Envoy tells the type by the ending, and knows it in small letters
        added["content-type"] = artifact.facts.content_type
    is_part = download.status == 206
    headers = [_header("range", f"bytes={download.start}-{download.stop - 1}" if is_part else "")]
    if "?" not in path:  # Envoy would cut the name there; `RestFileServicer` sends such a file
        headers.append(_header(":path", INTERNAL_PREFIX + quote(path)))
    return auth.CheckResponse(
        status=status_pb2.Status(code=grpc.StatusCode.OK.value[0]),
        ok_response=auth.OkHttpResponse(
            headers=headers,
            response_headers_to_add=[
                _header(name, value)
                for name, value in added.items()
                if name not in ("content-range", "accept-ranges")
            ],
        ),
    )


def _denied(status: int, headers: Mapping[str, str], body: str) -> auth.CheckResponse:
    content_type = [_header("content-type", "application/json")] if body else []
    return auth.CheckResponse(
        status=status_pb2.Status(code=grpc.StatusCode.PERMISSION_DENIED.value[0]),
        denied_response=auth.DeniedHttpResponse(
            status=auth.HttpStatus(code=status),
            headers=[*content_type, *(_header(name, value) for name, value in headers.items())],
            body=body,
        ),
    )


def _header(name: str, value: str) -> auth.HeaderValueOption:
    return auth.HeaderValueOption(
        header=auth.HeaderValue(key=name, value=value), append_action=OVERWRITE
    )
