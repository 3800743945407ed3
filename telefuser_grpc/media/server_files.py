"""Files that already lie on the server, in folders that its operator has opened."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from telefuser_grpc.errors import InputRejected, UploadTooLarge

CHUNK_BYTES = 2**20
FOLDER = os.O_RDONLY | os.O_DIRECTORY
REFUSAL = (
    "is not media that this server may read; upload the file, send it as a data URL, or ask the "
    "operator to add its folder to TELEFUSER_ALLOWED_MEDIA_ROOTS"
)


def read_server_file(
    field: str, name: str, *, roots: Sequence[Path], max_bytes: int
) -> Iterator[bytes]:
    """Yields the content of a regular file below one of the roots.

    Raises:
        InputRejected: It may not be read; the message is the same whether it exists or not.
        UploadTooLarge
    """
    try:
        path = Path(os.path.realpath(name, strict=True))
        with os.fdopen(_open(field, path, roots), "rb") as file:
            if os.fstat(file.fileno()).st_size > max_bytes:
                raise UploadTooLarge(field, max_bytes)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (OSError, ValueError) as error:
        raise InputRejected(field, REFUSAL) from error


def _open(field: str, path: Path, roots: Sequence[Path]) -> int:
    """Opens a regular file by a path that has no links, as long as it lies below a root."""
    for root in (each.resolve() for each in roots):
        if path.is_relative_to(root) and path != root:
            descriptor = _open_below(root, path.relative_to(root).parts)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
    raise InputRejected(field, REFUSAL)


def _open_below(root: Path, parts: Sequence[str]) -> int:
    """Goes down step by step, so that no link that is put there meanwhile leads away."""
    *folders, name = parts
    folder = os.open(root, FOLDER)
    try:
        for each in folders:
            outer, folder = folder, os.open(each, FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(outer)
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
