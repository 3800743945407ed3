"""The files of tasks on a local disk.

<root>/tasks/<task id>/inputs/
                       outputs/videos/ · outputs/images/    what callers may read
                       outputs/derived/                     what was made from that
                       tmp/<attempt>/                       where attempts write
<root>/trash/                                               what is being removed
"""

import asyncio
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from weakref import WeakValueDictionary

from telefuser_grpc.domain.artifact import Artifact, MediaFacts, OutputFile
from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.errors import AccessDenied, ArtifactNotFound, OutputInvalid, StorageFull
from telefuser_grpc.scheduler.ports import Derivation
from telefuser_grpc.storage.clock import utc_now
from telefuser_grpc.storage.thread import in_thread
from telefuser_grpc.storage.trash import remove_folder

REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


class LocalArtifactStore:
    """An `ArtifactStore` below one folder. Scratch and outputs are on one file system."""

    def __init__(self, root: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._root = root.absolute()
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def prepare(self, task_id: str, attempt: int) -> str:
        scratch = self._folder(task_id) / "tmp" / str(attempt)
        await in_thread(_make_empty, scratch)
        return str(scratch)

    async def adopt(
        self, task_id: str, media_type: str, files: Sequence[OutputFile]
    ) -> tuple[Artifact, ...]:
        folder = "images" if media_type == MediaType.IMAGE else "videos"
        outputs = self._folder(task_id) / "outputs" / folder
        targets = [outputs / _inner_path(file.name) for file in files]
        await in_thread(self._move, files, targets)
        now = self._clock()
        return tuple(
            Artifact(
                task_id=task_id,
                path=target.relative_to(self._root).as_posix(),
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                created_at=now,
                facts=file.facts,
            )
            for file, target in zip(files, targets, strict=True)
        )

    async def discard_scratch(self, task_id: str) -> None:
        await in_thread(_remove, self._folder(task_id) / "tmp")

    async def delete(self, task_id: str) -> None:
        await in_thread(remove_folder, self._folder(task_id), self._root)

    async def open_path(self, artifact: Artifact) -> str:
        outputs = self._folder(artifact.task_id) / "outputs"
        return await in_thread(_existing, self._root / artifact.path, outputs, artifact.id)

    async def derived(self, artifact: Artifact, derivation: Derivation) -> Artifact:
        source = Path(await self.open_path(artifact))
        folder = self._folder(artifact.task_id) / "outputs" / "derived"
        target = folder / f"{artifact.sha256[:16]}_{derivation.name}"
        async with self._turns.setdefault(str(target), asyncio.Lock()):
            size, sha256 = await in_thread(_derive, source, target, derivation)
        return Artifact(
            task_id=artifact.task_id,
            path=target.relative_to(self._root).as_posix(),
            size_bytes=size,
            sha256=sha256,
            created_at=artifact.created_at,
            facts=MediaFacts(content_type=derivation.content_type),
        )

    def input_path(self, task_id: str, name: str) -> str:
        return str(self._folder(task_id) / "inputs" / _inner_path(name))

    def _folder(self, task_id: str) -> Path:
        if task_id in ("", ".", "..") or not set(task_id).isdisjoint("/\\\0"):
            raise AccessDenied
        return self._root / "tasks" / task_id

    def _move(self, files: Sequence[OutputFile], targets: Sequence[Path]) -> None:
        with _refusals():
            for file, target in zip(files, targets, strict=True):
                _sync_file(Path(file.path))
                target.parent.mkdir(parents=True, exist_ok=True)
                Path(file.path).replace(target)
            for folder in _with_parents({target.parent for target in targets}, self._root):
                _sync_folder(folder)


def _derive(source: Path, target: Path, derivation: Derivation) -> tuple[int, str]:
    """Makes a file unless it is there; returns its size and checksum."""
    if not target.is_file():
        part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
        try:
            with _refusals():
                target.parent.mkdir(exist_ok=True)  # not its parents: the task may be gone
                derivation.make(str(source), str(part))
                part.replace(target)
        except FileNotFoundError as error:
            raise ArtifactNotFound(target.name) from error
        finally:
            part.unlink(missing_ok=True)
    content = target.read_bytes()
    return len(content), hashlib.sha256(content).hexdigest()


def _inner_path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise AccessDenied
    return path


def _make_empty(folder: Path) -> None:
    with _refusals():
        _remove(folder)
        folder.mkdir(parents=True)


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _sync_file(path: Path) -> None:
    """Makes a file durable. A link is refused: it could show any file of the server."""
    descriptor = _open_output(path)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OutputInvalid("The pipeline's output is not a file")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_output(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise OutputInvalid("The pipeline's output is missing") from error
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OutputInvalid("The pipeline's output is a link") from error


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _with_parents(folders: set[Path], root: Path) -> list[Path]:
    """Returns folders and what holds them, down from the root, as each may be new."""
    chains = {folder for leaf in folders for folder in (leaf, *leaf.parents)}
    return sorted(folder for folder in chains if folder.is_relative_to(root))


def _existing(path: Path, outputs: Path, artifact_id: str) -> str:
    resolved = path.resolve()
    if not resolved.is_relative_to(outputs.resolve()):
        raise AccessDenied
    if not resolved.is_file():
        raise ArtifactNotFound(artifact_id)
    return str(resolved)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns a disk that refuses a write into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        raise StorageFull from error
