"""A form with files as a request body that is read while it is sent."""

import io
import mimetypes
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 64 * 1024

FileSource = str | os.PathLike[str] | BinaryIO
"""A local file: its path, or an open binary file, which is read from where it stands."""


class MultipartForm:
    """A `multipart/form-data` body of known size; no file is ever whole in memory.

    Files that were given open stay open.
    """

    def __init__(self, fields: Mapping[str, str], files: Mapping[str, FileSource]) -> None:
        self._boundary = secrets.token_hex(16)
        self._parts: list[_Part] = [
            *(self._field(name, text) for name, text in fields.items()),
            *(self._file(name, source) for name, source in files.items()),
        ]
        self._end = f"--{self._boundary}--\r\n".encode()

    @property
    def content_type(self) -> str:
        """The header that says what this is."""
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts) + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            yield from part
        yield self._end

    def _field(self, name: str, text: str) -> "_Part":
        return _Part(self._head(name), io.BytesIO(text.encode()))

    def _file(self, name: str, source: FileSource) -> "_Part":
        filename = _filename(source)
        content_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
        head = self._head(
            name, f'; filename="{_quoted(filename)}"', f"\r\nContent-Type: {content_type}"
        )
        return _Part(head, source)

    def _head(self, name: str, filename: str = "", content_type: str = "") -> bytes:
        disposition = f'Content-Disposition: form-data; name="{_quoted(name)}"{filename}'
        return f"--{self._boundary}\r\n{disposition}{content_type}\r\n\r\n".encode()


class _Part:
    """One field, with its head and the line break after it."""

    def __init__(self, head: bytes, source: FileSource) -> None:
        self._head = head
        self._source = source if isinstance(source, str | os.PathLike) else _seekable(source)
        self._start, self._size = _extent(self._source)

    def __len__(self) -> int:
        return len(self._head) + self._size + 2

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        if isinstance(self._source, str | os.PathLike):
            with Path(self._source).open("rb") as file:
                yield from self._content(file)
        else:
            self._source.seek(self._start)
            yield from self._content(self._source)
        yield b"\r\n"

    def _content(self, file: BinaryIO) -> Iterator[bytes]:
        left = self._size
        while left and (chunk := file.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
        if left:
            raise OSError("A file became shorter while it was sent")


def _filename(source: FileSource) -> str:
    name = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "file")
    return Path(name).name if isinstance(name, str | os.PathLike) else "file"


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _seekable(file: BinaryIO) -> BinaryIO:
    return file if file.seekable() else io.BytesIO(file.read())


def _extent(source: FileSource) -> tuple[int, int]:
    """Returns where the content begins and how long it is."""
    if isinstance(source, str | os.PathLike):
        return 0, Path(source).stat().st_size
    start = source.tell()
    size = source.seek(0, os.SEEK_END) - start
    source.seek(start)
    return start, size
