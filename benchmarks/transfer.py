"""How fast files come and go."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

from benchmarks import native, rest
from benchmarks.lab import Lab, Rows
from benchmarks.row import Row
from benchmarks.service import Service
from telefuser_grpc._gen.telefuser.v1 import artifact_pb2, artifact_service_pb2

MEBIBYTE = 2**20
DOWNLOAD_MEBIBYTES = 256
UPLOAD_MEBIBYTES = 64
CHUNK_BYTES = 512 * 1024
ROUNDS = 3


async def transfer(lab: Lab) -> Rows:
    """A large artifact down, a large input up; the checks of an upload are part of it."""
    folder = lab.folder()
    clips = {size: folder / f"{size}.mp4" for size in (DOWNLOAD_MEBIBYTES, UPLOAD_MEBIBYTES)}
    for size, clip in clips.items():
        await asyncio.to_thread(write_clip, clip, size)
    for gateway in (False, True):
        way = "through Envoy" if gateway else "direct"
        async with (
            lab.service("file", gateway=gateway, max_file_size=2**30) as service,
            native.connected(service.port) as client,
        ):
            task_id = await client.create(clip=str(clips[DOWNLOAD_MEBIBYTES]))
            (artifact,) = (await client.complete(task_id)).state_change.artifacts
            rates = [await _rate(_native_download(client, artifact)) for _ in range(ROUNDS)]
            yield Row(f"download, native {way}, {DOWNLOAD_MEBIBYTES} MiB", "MB/s", rates)
            if gateway:
                rates = [await _rate(_rest_download(service, artifact)) for _ in range(ROUNDS)]
                name = f"download, REST, sent by Envoy, {DOWNLOAD_MEBIBYTES} MiB"
                yield Row(name, "MB/s", rates)
            content = await asyncio.to_thread(clips[UPLOAD_MEBIBYTES].read_bytes)
            rates = [await _rate(_upload(client, content)) for _ in range(ROUNDS)]
            yield Row(f"upload, native {way}, {UPLOAD_MEBIBYTES} MiB", "MB/s", rates)
    await asyncio.to_thread(shutil.rmtree, folder)


async def _rate(act: Awaitable[int]) -> float:
    """Returns megabytes a second of an act that tells how many bytes it has moved."""
    start = time.perf_counter()
    size = await act
    return size / (time.perf_counter() - start) / 1e6


async def _native_download(client: native.Native, artifact: artifact_pb2.Artifact) -> int:
    request = artifact_service_pb2.DownloadArtifactRequest(artifact_id=artifact.artifact_id)
    size = 0
    async for response in client.artifacts.DownloadArtifact(request):
        size += len(response.chunk)
    return _whole(size, artifact)


async def _rest_download(service: Service, artifact: artifact_pb2.Artifact) -> int:
    path = artifact.artifact_id.removeprefix("local:")
    async with rest.connected(service.port) as web:
        return _whole(await web.download(f"/v1/files/download/{path}"), artifact)


def _whole(size: int, artifact: artifact_pb2.Artifact) -> int:
    assert size == artifact.size_bytes, f"{size} of {artifact.size_bytes} bytes have come"
    return size


async def _upload(client: native.Native, content: bytes) -> int:
    async def parts() -> AsyncIterator[artifact_service_pb2.UploadInputRequest]:
        metadata = artifact_service_pb2.UploadInputMetadata(filename="clip.mp4")
        yield artifact_service_pb2.UploadInputRequest(metadata=metadata)
        for start in range(0, len(content), CHUNK_BYTES):
            chunk = content[start : start + CHUNK_BYTES]
            yield artifact_service_pb2.UploadInputRequest(chunk=chunk)

    response = await client.artifacts.UploadInput(parts())
    return response.upload.size_bytes


def write_clip(path: Path, mebibytes: int) -> None:
    """Writes a valid clip of that size: one second of black, and a box that players skip."""
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=16)
        stream.width = stream.height = 64
        for _ in range(16):
            out.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        out.mux(stream.encode(None))
    space = mebibytes * MEBIBYTE - path.stat().st_size
    with path.open("ab") as file:
        file.write(space.to_bytes(4, "big") + b"free")
        file.truncate(mebibytes * MEBIBYTE)
