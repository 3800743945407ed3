"""The documented REST face of files."""

import re
from collections.abc import AsyncIterator, Mapping

from telefuser_grpc._gen.telefuser.rest.v1 import rest_file_service_pb2 as pb
from telefuser_grpc._gen.telefuser.rest.v1.rest_file_service_pb2_grpc import RestFileServiceServicer
from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.server.file_guard import FilePlace
from telefuser_grpc.server.file_stream import file_bodies
from telefuser_grpc.server.rpc import Context
from telefuser_grpc.server.wording import Wording

PATHS = re.compile(r"/v1/files/download/(?P<name>.*)", re.DOTALL)


def file_place(library: Library, wording: Wording) -> FilePlace:
    """Returns where artifacts are found by their names."""

    async def find(name: str, query: Mapping[str, str]) -> Artifact:
        return await library.find(name)

    return FilePlace(pattern=PATHS, find=find, wording=wording)


class RestFileServicer(RestFileServiceServicer):
    """Answers `telefuser.rest.v1.RestFileService`, for a gateway that cannot read our disk."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def DownloadFile(
        self, request: pb.DownloadFileRequest, context: Context
    ) -> AsyncIterator[pb.DownloadFileResponse]:
        artifact = await self._library.find(request.file_path)
        async for body in file_bodies(artifact, self._library, context):
            yield pb.DownloadFileResponse(body=body)
