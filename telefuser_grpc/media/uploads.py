"""Files that callers have sent, kept until tasks read them or a sweep takes them."""

import base64
import hashlib
import math
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from telefuser_grpc.domain.artifact import MediaFacts, Upload
from telefuser_grpc.errors import (
    ChecksumMismatch,
    InputRejected,
    UploadNotFound,
    UploadTooLarge,
)
from telefuser_grpc.media.disk import in_thread, make_folder, publish, sync, writing
from telefuser_grpc.pipeline.probe import ProbeLimits, Undecodable, probe
from telefuser_grpc.scheduler.callers import current_caller, is_mine

ID_PATTERN = re.compile(r"upload_[a-z2-7]{26}")
ID_LENGTH = 33
FLUSH_BYTES = 2**20
CONTENT = "content"
DESCRIPTION = "upload.json"


class LocalUploads:
    """Uploads as folders `<root>/uploads/<id>`, each with the content and its description."""

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int,
        limits: ProbeLimits,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = root / "uploads"
        self._max_bytes = max_bytes
        self._limits = limits
        self._clock = clock

    @asynccontextmanager
    async def receive(
        self, *, field: str = "file", size_bytes: int = 0, sha256: str = ""
    ) -> AsyncIterator["UploadSink"]:
        """Opens a sink for one file; unless it is finished inside the block, nothing remains.

        `field` names the file in errors; 0 and "" promise no size and no checksum.

        Raises:
            UploadTooLarge
        """
        promise = Promise(field=field, size_bytes=size_bytes, sha256=sha256.lower())
        if size_bytes > self._max_bytes:
            raise UploadTooLarge(field, self._max_bytes)
        sink = UploadSink(
            self._folder / new_upload_id(),
            promise,
            max_bytes=self._max_bytes,
            limits=self._limits,
            clock=self._clock,
        )
        try:
            yield sink
        finally:
            if not sink.is_finished:
                await in_thread(sink.discard)

    def path(self, upload_id: str) -> Path:
        """Returns where an upload's content lies. Raises UploadNotFound."""
        path = self._folder / upload_id / CONTENT
        if not ID_PATTERN.fullmatch(upload_id) or not path.is_file():
            raise UploadNotFound(upload_id[:ID_LENGTH])
        return path

    def read(self, upload_id: str) -> Upload:
        """Returns the description of an upload of the caller. Raises UploadNotFound."""
        try:
            described = self.path(upload_id).with_name(DESCRIPTION).read_bytes()
        except OSError as error:
            raise UploadNotFound(upload_id) from error
        upload = msgspec.json.decode(described, type=Upload)
        if not is_mine(upload.owner):
            raise UploadNotFound(upload_id)
        return upload

    async def discard(self, upload_id: str) -> None:
        """Removes an upload; inputs that were linked from it stay."""
        if ID_PATTERN.fullmatch(upload_id):
            await in_thread(shutil.rmtree, self._folder / upload_id, ignore_errors=True)

    async def sweep(self, older_than: datetime) -> int:
        """Removes uploads, and the rest of broken ones, last written before a time; counts them."""
        return await in_thread(self._sweep, older_than.timestamp())

    def _sweep(self, older_than: float) -> int:
        stale = [each for each in self._folder.glob("upload_*") if _written_at(each) < older_than]
        for folder in stale:
            shutil.rmtree(folder, ignore_errors=True)
        return len(stale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a caller says of a file before it sends it."""

    field: str
    size_bytes: int
    sha256: str


class UploadSink:
    """Takes the pieces of one file, at least a mebibyte per trip to the disk."""

    def __init__(
        self,
        folder: Path,
        promise: Promise,
        *,
        max_bytes: int,
        limits: ProbeLimits,
        clock: Callable[[], datetime],
    ) -> None:
        self._folder = folder
        self._part = folder.with_name(f"{folder.name}.part")
        self._promise = promise
        self._max_bytes = max_bytes
        self._limits = limits
        self._clock = clock
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self.is_finished = False

    async def write(self, chunk: bytes) -> None:
        """Adds the next piece. Raises UploadTooLarge, ChecksumMismatch, StorageFull."""
        self._size_bytes += len(chunk)
        if self._size_bytes > self._max_bytes:
            raise UploadTooLarge(self._promise.field, self._max_bytes)
        if 0 < self._promise.size_bytes < self._size_bytes:
            raise ChecksumMismatch("size")
        self._waiting.append(chunk)
        self._waiting_bytes += len(chunk)
        if self._waiting_bytes >= FLUSH_BYTES:
            await in_thread(self._flush)

    async def finish(self) -> Upload:
        """Checks the file and keeps it.

        Raises:
            ChecksumMismatch: Size or SHA-256 differ from the promise.
            InputRejected: The content is empty or no media that decodes.
            StorageFull
        """
        upload = await in_thread(self._finish)
        self.is_finished = True
        return upload

    def discard(self) -> None:
        """Removes what was written."""
        self._waiting.clear()
        shutil.rmtree(self._part, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _flush(self) -> None:
        with writing():
            make_folder(self._part)
            with (self._part / CONTENT).open("ab") as file:
                for chunk in self._waiting:
                    file.write(chunk)
        for chunk in self._waiting:
            self._digest.update(chunk)
        self._waiting.clear()
        self._waiting_bytes = 0

    def _finish(self) -> Upload:
        if self._size_bytes == 0:
            raise InputRejected(self._promise.field, "is empty; send the file's content")
        self._flush()
        self._check_promise()
        upload = Upload(
            id=self._folder.name,
            size_bytes=self._size_bytes,
            sha256=self._digest.hexdigest(),
            created_at=self._clock(),
            facts=self._probe(),
            owner=current_caller(),
        )
        with writing():
            self._keep(upload)
        return upload

    def _check_promise(self) -> None:
        if self._promise.size_bytes not in (0, self._size_bytes):
            raise ChecksumMismatch("size")
        if self._promise.sha256 not in ("", self._digest.hexdigest()):
            raise ChecksumMismatch("SHA-256")

    def _probe(self) -> MediaFacts:
        try:
            return probe(self._part / CONTENT, limits=self._limits)
        except Undecodable as error:
            raise InputRejected(self._promise.field, error.message) from error

    def _keep(self, upload: Upload) -> None:
        description = self._part / DESCRIPTION
        description.write_bytes(msgspec.json.encode(upload))
        sync(description)
        sync(self._part / CONTENT)
        publish(self._part, self._folder)


def new_upload_id() -> str:
    """Returns `upload_` and 26 random letters and digits, which nobody can guess."""
    return "upload_" + base64.b32encode(secrets.token_bytes(20)).decode().lower()[:26]


def _written_at(folder: Path) -> float:
    """The time of the latest write; a folder that vanishes meanwhile is never old."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:
        return math.inf
