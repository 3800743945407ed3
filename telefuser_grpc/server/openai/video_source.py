"""Videos that others are made from: how a pipeline takes them in."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.pipeline.film_stills import first_frame, last_frame
from telefuser_grpc.scheduler.ports import Uploads
from telefuser_grpc.server.chunks import file_chunks
from telefuser_grpc.server.openai.video_bodies import INHERITED
from telefuser_grpc.server.openai.video_content import VideoFiles
from telefuser_grpc.server.openai.video_errors import Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A kind of task that goes on from a video: by the whole of it, or by one frame."""

    kind: str
    field: str
    frame: Callable[[str], bytes] | None = None


CONTINUED = Way(kind="vc", field="ref_video_path")
FROM_FIRST = Way(kind="i2v", field="first_image_path", frame=first_frame)
FROM_LAST = Way(kind="i2v", field="first_image_path", frame=last_frame)
REMIX = (CONTINUED, FROM_LAST)
EDIT = (CONTINUED, FROM_FIRST)
EXTENSION = (CONTINUED,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a new task takes from a video: its kind, its media, and what it inherits."""

    kind: str
    fields: Mapping[str, Any]
    contents: Mapping[str, str] = field(default_factory=dict)
    inherited: Mapping[str, Any] = field(default_factory=dict)


def way_of(contract: PipelineContract, ways: Sequence[Way], what: str) -> Way:
    """Returns the first way that the pipeline knows. Raises Unsupported."""
    for way in ways:
        task = contract.tasks.get(way.kind)
        if task and task.media_type is MediaType.VIDEO:
            return way
    kinds = " or ".join(way.kind for way in ways)
    raise Unsupported(f"This pipeline cannot {what} videos: that takes a task of the kind {kinds}")


def given_source(way: Way, reference: str, sha256: str = "") -> Source:
    """Returns a video that has come with the request. Raises Unsupported."""
    if way.frame:
        raise Unsupported(
            f"This pipeline goes on from pictures (kind {way.kind}), not from videos that are sent;"
            " name a video that was made here by its id"
        )
    contents = {way.field: f"sha256:{sha256}"} if sha256 else {}
    return Source(kind=way.kind, fields={way.field: reference}, contents=contents)


@asynccontextmanager
async def stored_source(
    way: Way, video_id: str, *, files: VideoFiles, uploads: Uploads
) -> AsyncIterator[Source]:
    """Makes a video that was made before an input, which is there until the block is left.

    Raises:
        VideoNotFound, VideoNotReady, ArtifactNotFound, OutputInvalid, UploadTooLarge, StorageFull
    """
    task, video = await files.video(video_id)
    path = await files.path(video)
    async with uploads.receive(field="video") as sink:
        async for chunk in _content(way, video, path):
            await sink.write(chunk)
        upload = await sink.finish()
    try:
        yield Source(
            kind=way.kind,
            fields={way.field: f"upload:{upload.id}", "remixed_from_video_id": video_id},
            contents={way.field: f"sha256:{video.sha256}"},
            inherited={name: task.fields[name] for name in INHERITED if name in task.fields},
        )
    finally:
        await uploads.discard(upload.id)


async def _content(way: Way, video: Artifact, path: str) -> AsyncIterator[bytes]:
    if way.frame:
        yield await asyncio.to_thread(way.frame, path)
        return
    async for chunk in file_chunks(path, 0, video.size_bytes):
        yield chunk
