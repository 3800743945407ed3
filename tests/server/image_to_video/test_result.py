"""The answer around a file."""

import base64
import json
import os
from pathlib import Path

import pytest

from telefuser_grpc.server.chunks import CHUNK_BYTES
from telefuser_grpc.server.image_to_video.result import Result


@pytest.mark.parametrize("size", [1, 2, 3, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 2])
async def test_file_of_any_size_is_one_base64_text_of_the_promised_length(
    tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    result = Result({"a": '"'}, str(path), size, {"b": [1]})

    written = b"".join([piece async for piece in result.pieces()])

    assert json.loads(written) == {
        "a": '"',
        "video_base64": base64.b64encode(content).decode(),
        "b": [1],
    }
    assert len(written) == result.length
