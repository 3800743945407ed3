"""Turns a rendering into finished files: written, synced, decoded again and hashed."""

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

from telefuser_grpc.domain.artifact import MediaFacts, OutputFile
from telefuser_grpc.domain.job import Job
from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.errors import OutOfMemory, OutputInvalid
from telefuser_grpc.pipeline.frames import rgb_frames
from telefuser_grpc.pipeline.gif import write_gif
from telefuser_grpc.pipeline.probe import OUTPUT_LIMITS, Undecodable, probe
from telefuser_grpc.pipeline.rendering import Rendering
from telefuser_grpc.pipeline.stills import STILL_FORMATS, write_still
from telefuser_grpc.pipeline.video import MP4, WEBM, write_video

VIDEO_CONTAINERS = {".mp4": MP4, ".webm": WEBM}
VIDEO_SUFFIXES = (*VIDEO_CONTAINERS, ".gif")


def encode(rendering: Rendering, job: Job) -> list[OutputFile]:
    """Returns the files of a job, which lie in its output folder, whole and checked.

    The first has the job's output name; more images are numbered `name_1`, `name_2`.

    Raises:
        OutputInvalid: There is no result, or one that no file can be made of.
        OutOfMemory
    """
    try:
        return _encode(rendering, job)
    except MemoryError as error:
        raise OutOfMemory("Out of memory. Please reduce resolution or frame count.") from error
    except OSError as error:
        raise OutputInvalid(f"The result cannot be written: {error.strerror}") from error


def _encode(rendering: Rendering, job: Job) -> list[OutputFile]:
    if job.media_type == MediaType.NONE:
        return []
    if rendering.file:
        return [_take_written(Path(rendering.file), job)]
    if rendering.frames is None:
        raise OutputInvalid("The pipeline returned nothing and wrote no file")
    if job.media_type == MediaType.VIDEO:
        return [_encode_video(rendering, job)]
    return _encode_images(rendering, job)


def _encode_video(rendering: Rendering, job: Job) -> OutputFile:
    suffix = _suffix(job, VIDEO_SUFFIXES)
    frames = rgb_frames(rendering.frames)
    if suffix == ".gif":
        return _write(job, job.output_name, partial(write_gif, frames=frames, fps=rendering.fps))
    return _write(
        job,
        job.output_name,
        partial(
            write_video,
            frames=frames,
            fps=rendering.fps,
            audio=rendering.audio,
            container=VIDEO_CONTAINERS[suffix],
        ),
    )


def _encode_images(rendering: Rendering, job: Job) -> list[OutputFile]:
    suffix = _suffix(job, tuple(STILL_FORMATS))
    if len(rendering.frames) == 0:
        raise OutputInvalid("The pipeline returned no images")
    return [
        _write(
            job,
            _numbered(job.output_name, index),
            partial(write_still, frame=frame, index=index, suffix=suffix),
        )
        for index, frame in enumerate(rendering.frames)
    ]


def _suffix(job: Job, known: tuple[str, ...]) -> str:
    suffix = PurePosixPath(job.output_name).suffix.lower()
    if suffix not in known:
        raise OutputInvalid(
            f"A result of type {job.media_type} cannot be written as {suffix!r}; use "
            f"{', '.join(known)}"
        )
    return suffix


def _numbered(name: str, index: int) -> str:
    path = PurePosixPath(name)
    return str(path.with_stem(f"{path.stem}_{index}")) if index else name


def _write(job: Job, name: str, write: Callable[[Path], None]) -> OutputFile:
    """Writes a file beside its place and moves it there once it is whole."""
    target = Path(job.output_folder, name)
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(part)
        file = _finish(part, name)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    _sync(target.parent)
    return OutputFile(
        path=str(target), name=name, size_bytes=file[0], sha256=file[1], facts=file[2]
    )


def _take_written(path: Path, job: Job) -> OutputFile:
    """Checks a file that the pipeline wrote, and fetches it if it wrote it elsewhere."""
    if not path.is_file():
        raise OutputInvalid(f"The pipeline did not write the file {path.name!r}")
    folder = Path(job.output_folder).resolve()
    if not path.resolve().is_relative_to(folder):
        name = str(PurePosixPath(job.output_name or path.name).with_suffix(path.suffix))
        return _write(job, name, partial(shutil.copyfile, path))
    name = path.resolve().relative_to(folder).as_posix()
    size, sha256, facts = _finish(path, name)
    return OutputFile(path=str(path), name=name, size_bytes=size, sha256=sha256, facts=facts)


def _finish(path: Path, name: str) -> tuple[int, str, MediaFacts]:
    """Brings a file to the disk and returns its size, digest and facts."""
    _sync(path)
    try:
        facts = probe(path, limits=OUTPUT_LIMITS)
    except Undecodable as error:
        raise OutputInvalid(f"The result {PurePosixPath(name).name!r} {error.message}") from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return path.stat().st_size, digest.hexdigest(), facts


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
