"""The native artifact service."""

from collections.abc import AsyncIterator

from telefuser_grpc._gen.telefuser.v1 import artifact_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1.artifact_service_pb2_grpc import ArtifactServiceServicer
from telefuser_grpc.errors import InvalidFields, OffsetOutOfRange, Violation
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.ports import Uploads
from telefuser_grpc.server import convert
from telefuser_grpc.server.chunks import file_chunks
from telefuser_grpc.server.rpc import Context


class ArtifactServicer(ArtifactServiceServicer):
    """Answers `telefuser.v1.ArtifactService`."""

    def __init__(self, *, library: Library, uploads: Uploads) -> None:
        self._library = library
        self._uploads = uploads

    async def UploadInput(
        self, requests: AsyncIterator[pb.UploadInputRequest], context: Context
    ) -> pb.UploadInputResponse:
        promise = await _promise(requests)
        async with self._uploads.receive(
            size_bytes=promise.size_bytes, sha256=promise.sha256
        ) as sink:
            async for request in requests:
                await sink.write(request.chunk)
            return pb.UploadInputResponse(upload=convert.upload(await sink.finish()))

    async def DownloadArtifact(
        self, request: pb.DownloadArtifactRequest, context: Context
    ) -> AsyncIterator[pb.DownloadArtifactResponse]:
        artifact = await self._library.find(request.artifact_id)
        if request.offset > artifact.size_bytes:
            raise OffsetOutOfRange(artifact.size_bytes)
        path = await self._library.open_path(artifact)
        yield pb.DownloadArtifactResponse(artifact=convert.artifact(artifact))
        async for chunk in file_chunks(path, request.offset, artifact.size_bytes):
            yield pb.DownloadArtifactResponse(chunk=chunk)

    async def GetArtifact(
        self, request: pb.GetArtifactRequest, context: Context
    ) -> pb.GetArtifactResponse:
        artifact = await self._library.find(request.artifact_id)
        return pb.GetArtifactResponse(artifact=convert.artifact(artifact))


async def _promise(requests: AsyncIterator[pb.UploadInputRequest]) -> pb.UploadInputMetadata:
    first = await anext(requests, None)
    if first is None or not first.HasField("metadata"):
        raise InvalidFields([Violation("metadata", "must be in the first message", "missing")])
    return first.metadata
