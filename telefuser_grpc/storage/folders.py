"""Clears up the folders of tasks on a local disk: measures, sweeps and removes them."""

import math
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import ParamSpec

import structlog

from telefuser_grpc.storage.thread import in_thread
from telefuser_grpc.storage.trash import empty_trash, remove_folder

P = ParamSpec("P")

logger = structlog.get_logger()

FOLDERS_AT_ONCE = 128
PART_SUFFIX = ".part"


class LocalTaskFolders:
    """The `TaskFolders` of the artifact store with the same root."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._tasks = self._root / "tasks"

    async def delete(self, task_ids: Sequence[str]) -> None:
        await in_thread(self._delete, task_ids)

    async def names(self) -> AsyncGenerator[Sequence[str], None]:
        folders = _subfolders(self._tasks)
        while names := await in_thread(lambda: list(islice(folders, FOLDERS_AT_ONCE))):
            yield names

    async def sizes(self, task_ids: Sequence[str]) -> Mapping[str, int]:
        return await in_thread(lambda: {each: _size(self._tasks / each) for each in task_ids})

    async def delete_stale(self, task_ids: Sequence[str], before: datetime) -> Sequence[str]:
        return await in_thread(self._delete_stale, task_ids, before.timestamp())

    async def discard_parts(self, task_ids: Sequence[str], before: datetime) -> int:
        return await in_thread(self._discard, _parts, task_ids, before.timestamp())

    async def discard_outputs(self, task_ids: Sequence[str], before: datetime) -> int:
        return await in_thread(self._discard, _outputs, task_ids, before.timestamp())

    async def finish_removals(self) -> None:
        await in_thread(empty_trash, self._root)

    async def free_bytes(self) -> int:
        return (await in_thread(shutil.disk_usage, self._root)).free

    def _delete(self, task_ids: Sequence[str]) -> None:
        for task_id in task_ids:
            _try(remove_folder, self._tasks / task_id, self._root)

    def _delete_stale(self, task_ids: Sequence[str], before: float) -> Sequence[str]:
        folders = (self._tasks / task_id for task_id in task_ids)
        stale = (folder for folder in folders if _written_at(folder) < before)
        return [folder.name for folder in stale if _try(remove_folder, folder, self._root)]

    def _discard(
        self, find: Callable[[Path], Iterable[Path]], task_ids: Sequence[str], before: float
    ) -> int:
        found = [path for task_id in task_ids for path in find(self._tasks / task_id)]
        return sum(_written_at(path) < before and _try(_remove, path) for path in found)


def _subfolders(folder: Path) -> Iterator[str]:
    """Yields names, reading on only as far as it is asked."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield entry.name


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yields everything below a folder, subfolders too; what vanishes meanwhile is passed over."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))


def _size(folder: Path) -> int:
    size_bytes = 0
    for entry in _files(folder):
        with suppress(FileNotFoundError):
            if entry.is_file(follow_symlinks=False):
                size_bytes += entry.stat(follow_symlinks=False).st_size
    return size_bytes


def _written_at(path: Path) -> float:
    """Returns the time of the latest write; what has vanished meanwhile is never old."""
    try:
        latest = path.lstat().st_mtime
    except FileNotFoundError:
        return math.inf
    if path.is_symlink():
        return latest
    for entry in _files(path):
        with suppress(FileNotFoundError):
            latest = max(latest, entry.stat(follow_symlinks=False).st_mtime)
    return latest


def _parts(folder: Path) -> Iterator[Path]:
    yield from _entries(folder / "tmp")
    yield from (path for path in _entries(folder / "inputs") if path.suffix == PART_SUFFIX)


def _outputs(folder: Path) -> Iterator[Path]:
    return iter(_entries(folder / "outputs"))


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _try(remove: Callable[P, None], /, *args: P.args, **kwargs: P.kwargs) -> bool:
    """Tells whether something could be removed; what cannot must not keep the rest."""
    try:
        remove(*args, **kwargs)
    except OSError as error:
        logger.warning("file cannot be removed", error=error.strerror)
        return False
    return True
