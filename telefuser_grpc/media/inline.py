"""Media written into the request itself: data URLs, and the bare base64 of a known format."""

import binascii
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from telefuser_grpc.errors import InputRejected, UploadTooLarge
from telefuser_grpc.pipeline.sniff import sniff

HEAD_LENGTH = 64
LEAST_LENGTH = 32  # a shorter text is a path, whatever it would decode to
SLICE_LENGTH = 2**20
MAX_HEADER_LENGTH = 1024
BOUND = "may stand in a request; upload the file, send a form, or give a URL"


def is_inline(text: str) -> bool:
    """Tells whether a media reference holds the media itself."""
    return _is_data_url(text) or _is_bare_base64(text)


def decode_inline(field: str, text: str, *, max_bytes: int) -> Iterator[bytes]:
    """Yields the media in pieces; its length is looked at before anything is decoded.

    Raises:
        InputRejected: It is not what it says.
        UploadTooLarge
    """
    start = _body_start(field, text)
    is_base64 = start == 0 or text[: start - 1].rstrip().lower().endswith(";base64")
    if _least_size(text, start, is_base64=is_base64) > max_bytes:
        raise UploadTooLarge(field, max_bytes, bound=BOUND)
    pieces = _unescaped(text, start)
    try:
        yield from _decoded(pieces) if is_base64 else pieces
    except ValueError as error:
        raise InputRejected(field, "is not valid base64; encode the whole file again") from error


def _is_data_url(text: str) -> bool:
    return text[:5].lower() == "data:"


def _is_bare_base64(text: str) -> bool:
    head = "".join(text[: 2 * HEAD_LENGTH].split())[:HEAD_LENGTH]
    if len(head) < LEAST_LENGTH:
        return False
    try:
        return sniff(_decode(head[: len(head) & ~3])) is not None
    except ValueError:
        return False


def _body_start(field: str, text: str) -> int:
    if not _is_data_url(text):
        return 0
    comma = text.find(",", 0, MAX_HEADER_LENGTH)
    if comma < 0:
        raise InputRejected(field, "is not a data URL; write data:<type>;base64,<data>")
    return comma + 1


def _least_size(text: str, start: int, *, is_base64: bool) -> int:
    length, escapes = len(text) - start, text.count("%", start)
    if not is_base64:
        return length - 2 * escapes
    spaces = sum(text.count(each, start) for each in " \t\r\n")
    longest_padding = 2
    return (length - spaces - 3 * escapes) // 4 * 3 - longest_padding


def _unescaped(text: str, start: int) -> Iterator[bytes]:
    rest = ""
    for at in range(start, len(text), SLICE_LENGTH):
        piece = rest + text[at : at + SLICE_LENGTH]
        cut_escape = piece.find("%", len(piece) - 2)
        whole = len(piece) if cut_escape < 0 else cut_escape
        rest = piece[whole:]
        yield unquote_to_bytes(piece[:whole])
    yield rest.encode()


def _decoded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        letters = rest + piece.translate(None, b" \t\r\n")
        whole = max(0, len(letters) - 1) & ~3  # only the last four letters may hold padding
        if b"=" in letters[:whole]:
            raise ValueError("data follows the padding")
        rest = letters[whole:]
        yield _decode(letters[:whole])
    yield _decode(rest + b"=" * (-len(rest) % 4))


def _decode(text: str | bytes) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)
