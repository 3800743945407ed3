"""A gibibyte up and down every way: how fast, and how much memory it takes meanwhile."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

from benchmarks import native, rest
from benchmarks.lab import Lab, Rows
from benchmarks.machine import children, forget_peak, peak_mebibytes, resident_mebibytes
from benchmarks.row import Row, at_most
from benchmarks.service import Service
from benchmarks.transfer import CHUNK_BYTES, MEBIBYTE, write_clip
from telefuser_grpc._gen.telefuser.v1 import artifact_service_pb2 as pb

MEBIBYTES = 1024
QUICK_MEBIBYTES = 128
GROWTH_MEBIBYTES = 64  # of a process, whatever the size of the file
DOWNLOADS = "/v1/files/download"


async def large_files(lab: Lab) -> Rows:
    """The largest file there may be; memory is the peak above what was held before."""
    folder = lab.folder()
    size = QUICK_MEBIBYTES if lab.is_quick else MEBIBYTES
    clip, small = folder / "clip.mp4", folder / "small.mp4"
    await asyncio.to_thread(write_clip, clip, size)
    await asyncio.to_thread(write_clip, small, 1)
    async with (
        lab.service("file", max_file_size=MEBIBYTES * MEBIBYTE) as service,
        native.connected(service.port) as client,
    ):
        await _upload(client, small)  # loads the decoders
        names = [await _made(client, clip, name) for name in ("clip.mp4", "clip?.mp4")]
        ways = (
            ("upload, native", _upload(client, clip)),
            ("upload, REST form", _send_form(service, clip, small, size * MEBIBYTE)),
            ("download, REST, sent by Envoy", _download(service, "clip.mp4")),
            ("download, REST, sent by the server", _download(service, "clip%3F.mp4")),
            ("download, native, cut and resumed", _resume(client, names[0], size * MEBIBYTE)),
        )
        for name, act in ways:
            async for row in _measured(f"{name}, {size} MiB", act, service, size * MEBIBYTE):
                yield row
    await asyncio.to_thread(shutil.rmtree, folder)


async def _measured(name: str, act: Awaitable[int], service: Service, size: int) -> Rows:
    envoy = next(pid for pid, name in children(service.pid).items() if name == "envoy")
    processes = {"server": service.pid, "Envoy": envoy}
    before = {each: resident_mebibytes(pid) for each, pid in processes.items()}
    for pid in processes.values():
        forget_peak(pid)
    start = time.perf_counter()
    moved = await act
    seconds = time.perf_counter() - start
    assert moved == size, f"{moved} of {size} bytes have come"
    yield Row(name, "MB/s", [size / seconds / 1e6])
    for each, pid in processes.items():
        growth = max(0.0, peak_mebibytes(pid) - before[each])
        goal = at_most(GROWTH_MEBIBYTES, "max")
        yield Row(f"  memory above {before[each]:.0f} MiB: {each}", "MiB", [growth], (goal,))


async def _made(client: native.Native, clip: Path, name: str) -> str:
    """Lets a task hand out a clip by a name; returns its artifact's id."""
    task_id = await client.create(clip=str(clip), output_path=name)
    (artifact,) = (await client.complete(task_id)).state_change.artifacts
    return artifact.artifact_id


async def _upload(client: native.Native, clip: Path) -> int:
    async def messages() -> AsyncIterator[pb.UploadInputRequest]:
        yield pb.UploadInputRequest(metadata=pb.UploadInputMetadata(filename=clip.name))
        for chunk in _chunks(clip):
            yield pb.UploadInputRequest(chunk=chunk)

    response = await client.artifacts.UploadInput(messages())
    return response.upload.size_bytes


async def _send_form(service: Service, clip: Path, small: Path, size: int) -> int:
    fields = {"task": "t2v", "prompt": "a red circle", "clip": str(small)}
    async with rest.connected(service.port) as web:
        await web.send_form("/v1/tasks/form", fields, "ref_video_file", clip)
    return size


async def _download(service: Service, name: str) -> int:
    async with rest.connected(service.port) as web:
        return await web.download(f"{DOWNLOADS}/{name}")


async def _resume(client: native.Native, artifact_id: str, size: int) -> int:
    """Reads the first half, cancels, and reads what is missing from there."""
    request = pb.DownloadArtifactRequest(artifact_id=artifact_id)
    call = client.artifacts.DownloadArtifact(request)
    async for response in call:
        request.offset += len(response.chunk)
        if request.offset > size // 2:
            break
    call.cancel()
    moved = request.offset
    async for response in client.artifacts.DownloadArtifact(request):
        moved += len(response.chunk)
    return moved


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
