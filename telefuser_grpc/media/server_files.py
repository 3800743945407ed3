"""Files that already lie on the server, in folders that its operator has opened."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from telefuser_grpc.errors import InputRejected, UploadTooLarge

CHUNK_BYTES = 2**20
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
        if not _is_open(path, roots):
            raise InputRejected(field, REFUSAL)
        if path.stat().st_size > max_bytes:
            raise UploadTooLarge(field, max_bytes)
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (OSError, ValueError) as error:
        raise InputRejected(field, REFUSAL) from error


def _is_open(path: Path, roots: Sequence[Path]) -> bool:
    return path.is_file() and any(path.is_relative_to(root.resolve()) for root in roots)
