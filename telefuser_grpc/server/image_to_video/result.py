"""Writes the answer of a generation, which holds the whole video, piece by piece."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from telefuser_grpc.server.chunks import file_chunks


class Result:
    """One JSON object with a file in base64 as `video_base64`, between other fields.

    Args:
        path: Of the file, which has `size_bytes`.
    """

    def __init__(
        self, before: Mapping[str, Any], path: str, size_bytes: int, after: Mapping[str, Any]
    ) -> None:
        self._head = f'{_written(before)[:-1]},"video_base64":"'.encode()
        self._tail = f'",{_written(after)[1:]}'.encode()
        self._path = path
        self._size_bytes = size_bytes

    @property
    def length(self) -> int:
        """The bytes of the whole."""
        return len(self._head) + -(-self._size_bytes // 3) * 4 + len(self._tail)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yields the object."""
        yield self._head
        rest = b""
        async for chunk in file_chunks(self._path, 0, self._size_bytes):
            letters = rest + chunk
            whole = len(letters) // 3 * 3  # padding belongs at the end alone
            rest = letters[whole:]
            yield base64.b64encode(letters[:whole])
        yield base64.b64encode(rest) + self._tail


def _written(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
