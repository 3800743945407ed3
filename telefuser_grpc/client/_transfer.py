"""Files on their way: the pieces of an upload, and a download that can be taken up again."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from telefuser_grpc._gen.telefuser.v1 import artifact_service_pb2 as pb
from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.errors import ChecksumMismatch

CHUNK_BYTES = 256 * 1024

DownloadProgress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all."""


def promise(source: Path | bytes) -> pb.UploadInputRequest:
    """Returns the first message of an upload: name, size and SHA-256 of the file."""
    with _open(source) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.seek(0, os.SEEK_END)
    name = source.name if isinstance(source, Path) else ""
    return pb.UploadInputRequest(
        metadata=pb.UploadInputMetadata(filename=name, size_bytes=size, sha256=digest)
    )


def messages(first: pb.UploadInputRequest, source: Path | bytes) -> Iterator[pb.UploadInputRequest]:
    """Yields the messages of an upload: the promise, then the content."""
    yield first
    with _open(source) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield pb.UploadInputRequest(chunk=chunk)


def _open(source: Path | bytes) -> io.BytesIO | io.BufferedReader:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


class Download:
    """A file that grows beside its destination and gets its name when it is whole and right.

    The part's name has the beginning of the checksum, so what was left of another file is never
    continued.
    """

    def __init__(
        self, artifact: Artifact, destination: Path, *, progress: DownloadProgress | None = None
    ) -> None:
        is_folder = destination.is_dir()
        self.path = destination / artifact.filename if is_folder else destination
        self._artifact = artifact
        self._progress = progress
        self._part = self.path.with_name(f"{self.path.name}.{artifact.sha256[:12]}.part")

    @property
    def offset(self) -> int:
        """How many bytes are there."""
        return self._part.stat().st_size if self._part.exists() else 0

    @property
    def is_whole(self) -> bool:
        """Tells whether every byte has come."""
        return self.offset >= self._artifact.size_bytes

    def request(self) -> pb.DownloadArtifactRequest:
        """Returns the request for what is missing."""
        return pb.DownloadArtifactRequest(artifact_id=self._artifact.id, offset=self.offset)

    def write(self, response: pb.DownloadArtifactResponse) -> None:
        """Appends a piece; the message that only describes the artifact has none."""
        with self._part.open("ab") as file:
            file.write(response.chunk)
        if self._progress:
            self._progress(self.offset, self._artifact.size_bytes)

    def finish(self) -> Path:
        """Checks the file, makes it durable and gives it its name.

        Raises:
            ChecksumMismatch: The bytes are not those of the artifact; they are thrown away.
        """
        with self._part.open("r+b") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            is_right = (file.tell(), digest) == (self._artifact.size_bytes, self._artifact.sha256)
            os.fsync(file.fileno())
        if not is_right:
            self._part.unlink()
            raise ChecksumMismatch("artifact")
        return self._part.replace(self.path)
