"""Holds the files that a replica reports to what its job was: nothing else is ever taken in."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from telefuser_grpc.domain.artifact import OutputFile
from telefuser_grpc.domain.job import Job
from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.errors import OutputInvalid

MOVING_IMAGES = ("image/gif", "image/webp")


def check_outputs(files: Sequence[OutputFile], job: Job) -> None:
    """Raises OutputInvalid unless these are files of the job: whole, and in its own folder."""
    if not job.output_name:
        if files:
            raise OutputInvalid("The replica reported a file of a task that makes none")
        return
    if not files:
        raise OutputInvalid("The replica reported no file")
    if len({file.name for file in files}) < len(files):
        raise OutputInvalid("The replica reported two files of one name")
    folder = Path(job.output_folder).resolve()
    for file in files:
        _check_place(file, folder)
        _check_type(file, job.media_type)


def _check_place(file: OutputFile, folder: Path) -> None:
    name, path = PurePosixPath(file.name), Path(file.path)
    if name.is_absolute() or ".." in name.parts or not name.parts or "\0" in file.name + file.path:
        raise OutputInvalid("The replica reported a file with a name that none may have")
    if path.name in ("", "..") or not path.parent.resolve().is_relative_to(folder):
        raise OutputInvalid("The replica reported a file outside of its folder")
    status = _status(path, name)
    if not stat.S_ISREG(status.st_mode):
        raise OutputInvalid(f"The replica's output {name.name!r} is a link or no file")
    if status.st_size == 0 or status.st_size != file.size_bytes:
        raise OutputInvalid(
            f"The replica's output {name.name!r} has {status.st_size} bytes, reported were "
            f"{file.size_bytes}"
        )


def _status(path: Path, name: PurePosixPath) -> os.stat_result:
    try:
        return path.lstat()
    except OSError as error:
        raise OutputInvalid(f"The replica's output {name.name!r} is missing") from error


def _check_type(file: OutputFile, media_type: str) -> None:
    found = file.facts.content_type
    is_moving = found in MOVING_IMAGES and media_type == MediaType.VIDEO
    if not (is_moving or found.startswith(f"{media_type}/")):
        name = PurePosixPath(file.name).name
        raise OutputInvalid(f"The result {name!r} is {found}, the task makes a {media_type}")
