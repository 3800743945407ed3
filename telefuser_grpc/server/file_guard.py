"""Names files for the gateway: the server says who may read what, Envoy sends the bytes."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qs, quote, unquote

import grpc
from google.rpc import status_pb2

from telefuser_grpc._gen.envoy.service.auth.v3 import external_auth_pb2 as auth
from telefuser_grpc._gen.envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationServicer
from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.errors import ArtifactNotFound, OffsetOutOfRange, TeleFuserError
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.server.download import Download, plan_download
from telefuser_grpc.server.rpc import Context
from telefuser_grpc.server.wording import Refusal, Wording

INTERNAL_PREFIX = "/__artifacts/"
OVERWRITE = auth.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlace:
    """Paths under which an interface serves files.

    Attributes:
        pattern: Matches a whole path, decoded.
        find: Returns the file by the groups of the pattern and the parameters of the query.
    """

    pattern: re.Pattern[str]
    find: Callable[..., Awaitable[Artifact]]
    wording: Wording

    async def artifact(self, groups: Mapping[str, str], query: str) -> Artifact:
        """Returns the file that is asked for; of a repeated parameter the last counts."""
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        return await self.find(**groups, query=given)


Enter: TypeAlias = Callable[[str, Mapping[str, str]], None]
"""Lets a caller in, by a path and the headers of the request. Raises Unauthenticated."""


def everybody(path: str, headers: Mapping[str, str]) -> None:
    """Lets in whoever asks: the service has no keys."""


class FileGuard(AuthorizationServicer):
    """Tells the gateway which file a path stands for.

    Args:
        enter: Lets in who asks for a path.
    """

    def __init__(
        self,
        library: Library,
        places: Sequence[FilePlace],
        *,
        enter: Enter = everybody,
    ) -> None:
        self._library = library
        self._places = places
        self._enter = enter

    async def Check(self, request: auth.CheckRequest, context: Context) -> auth.CheckResponse:
        asked = request.attributes.request.http
        path, _, query = asked.path.partition("?")
        decoded = unquote(path, errors="replace")
        matches = ((place, place.pattern.fullmatch(decoded)) for place in self._places)
        place, match = next((each for each in matches if each[1]), (self._places[0], None))
        try:
            self._enter(path, asked.headers)
            if match is None:
                raise ArtifactNotFound(decoded)
            artifact = await place.artifact(match.groupdict(), query)
            return await self._answer(artifact, asked.headers, place.wording)
        except TeleFuserError as error:
            return _refused(place.wording(error))

    async def _answer(
        self, artifact: Artifact, headers: Mapping[str, str], wording: Wording
    ) -> auth.CheckResponse:
        await self._library.open_path(artifact)
        download = plan_download(artifact, headers)
        match download.status:
            case 304:
                return _denied(304, download.headers, "")
            case 416:
                refusal = wording(OffsetOutOfRange(artifact.size_bytes))
                return _denied(416, {**refusal.headers, **download.headers}, refusal.json)
        return _allowed(artifact, download)


def _refused(refusal: Refusal) -> auth.CheckResponse:
    return _denied(refusal.status, refusal.headers, refusal.json)


def _allowed(artifact: Artifact, download: Download) -> auth.CheckResponse:
    """Sends the request on to Envoy's file server, which only knows ranges with both ends."""
    path, added = artifact.path, dict(download.headers)
    if path != path.lower():  # Envoy tells the type by the ending, and knows it in small letters
        added["content-type"] = artifact.facts.content_type
    is_part = download.status == 206
    headers = [_header("range", f"bytes={download.start}-{download.stop - 1}" if is_part else "")]
    if "?" not in path:  # Envoy would cut the name there; `file_bodies` sends such a file
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
