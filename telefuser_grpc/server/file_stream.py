"""Sends files to REST callers through a gateway that cannot read our disk."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.errors import OffsetOutOfRange
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.server.chunks import file_chunks
from telefuser_grpc.server.download import plan_download
from telefuser_grpc.server.rpc import Context


async def file_bodies(
    artifact: Artifact, library: Library, context: Context
) -> AsyncIterator[HttpBody]:
    """Yields a file piece by piece, as the headers of the call ask.

    Raises:
        ArtifactNotFound, OffsetOutOfRange
    """
    metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
    path = await library.open_path(artifact)
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
        yield HttpBody(content_type=content_type)
        return
    async for chunk in file_chunks(path, download.start, download.stop):
        yield HttpBody(content_type=content_type, data=chunk)
