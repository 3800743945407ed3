"""Reads a pipeline file the way that Python would, or says why it is not to be read."""

import io
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

LINE_END = re.compile(r"\r\n|\r|\n")
SNIPPET_LIMIT = 200


class UnreadableSource(Exception):
    """A file cannot be looked at; the message says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a file, without its byte order mark."""

    path: Path
    text: str

    def lines(self) -> list[str]:
        """Returns the lines as Python counts them."""
        return LINE_END.split(self.text)


def read_source(path: Path, *, max_bytes: int) -> Source:
    """Reads a file of UTF-8.

    Raises:
        UnreadableSource
    """
    if not path.is_file():
        raise UnreadableSource(f"File not found: {path}")
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise UnreadableSource(f"File cannot be read: {error.strerror}") from error
    if len(data) > max_bytes:
        raise UnreadableSource(f"File too large: {path.stat().st_size} bytes (max: {max_bytes})")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableSource("File contains non-UTF-8 characters") from error
    _check_declared_encoding(data)
    return Source(path, text)


def _check_declared_encoding(data: bytes) -> None:
    # Python reads the file as its coding comment says: in another encoding it is other code
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except (SyntaxError, ValueError) as error:
        raise UnreadableSource("File declares an encoding that Python does not know") from error
    if encoding not in ("utf-8", "utf-8-sig"):
        raise UnreadableSource(f"File declares the encoding {encoding}; write it in UTF-8")
