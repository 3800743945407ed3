"""Reads files in pieces, off the event loop."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

CHUNK_BYTES = 256 * 1024


async def file_chunks(path: str, start: int, stop: int) -> AsyncIterator[bytes]:
    """Yields the bytes from `start` up to `stop` of a file."""
    file = await asyncio.to_thread(Path(path).open, "rb")
    try:
        file.seek(start)
        while start < stop:
            chunk = await asyncio.to_thread(file.read, min(CHUNK_BYTES, stop - start))
            if not chunk:
                return
            start += len(chunk)
            yield chunk
    finally:
        file.close()
