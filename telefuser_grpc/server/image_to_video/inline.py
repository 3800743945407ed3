"""Reads a picture that came as base64."""

import binascii
import re
from pathlib import Path

from telefuser_grpc.errors import InvalidFields, Violation

FIELD = "image_base64"
DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
SPACES = b" \t\r\n"


def write_picture(text: str, path: Path) -> None:
    """Writes what bare base64, or a data URL of it, stands for. Raises InvalidFields."""
    head = DATA_URL.match(text)
    try:
        letters = text[head.end() if head else 0 :].encode("ascii").translate(None, SPACES)
        content = binascii.a2b_base64(letters + b"=" * (-len(letters) % 4), strict_mode=True)
    except ValueError:
        why = "is no base64; send a PNG or JPEG as base64, or as data:image/png;base64,..."
        raise InvalidFields([Violation(FIELD, why, "base64")]) from None
    path.write_bytes(content)
