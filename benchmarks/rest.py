"""A REST client that costs next to nothing: one kept-alive HTTP/1.1 connection, no library."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

LAST_CHUNK = b""
READ_BYTES = 2**20
BOUNDARY = "benchmark"
FORM_END = f"\r\n--{BOUNDARY}--\r\n".encode()


class RestError(Exception):
    """The service has answered with another status than 200."""


class Connection:
    """Sends one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def get(self, path: str) -> Any:
        """Returns the JSON at a path."""
        return json.loads(await self._call("GET", path))

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Sends JSON and returns the JSON that is answered."""
        return json.loads(await self._call("POST", path, json.dumps(body).encode()))

    async def send_form(self, path: str, fields: Mapping[str, str], name: str, file: Path) -> Any:
        """Sends a form with one file, as it is read, and returns the JSON that is answered."""
        self._writer.write(_form_start(path, fields, name, file))
        with file.open("rb") as content:
            while piece := content.read(READ_BYTES):
                self._writer.write(piece)
                await self._writer.drain()
        self._writer.write(FORM_END)
        return json.loads(b"".join([each async for each in self._pieces(await self._headers())]))

    async def events(self, path: str) -> AsyncGenerator[dict[str, Any], None]:
        """Yields the data of server-sent events until the stream ends."""
        self._send("GET", path)
        headers = await self._headers()
        text = b""
        async for piece in self._pieces(headers):
            text += piece
            *blocks, text = text.split(b"\n\n")
            for block in blocks:
                for field in block.split(b"\n"):
                    if field.startswith(b"data: "):
                        yield json.loads(field[6:])

    async def download(self, path: str) -> int:
        """Reads a file and returns how many bytes it has."""
        self._send("GET", path)
        size = 0
        async for piece in self._pieces(await self._headers()):
            size += len(piece)
        return size

    async def _call(self, method: str, path: str, body: bytes = b"") -> bytes:
        self._send(method, path, body)
        return b"".join([piece async for piece in self._pieces(await self._headers())])

    def _send(self, method: str, path: str, body: bytes = b"") -> None:
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n"
        if body:
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)

    async def _headers(self) -> dict[str, str]:
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        if status.split()[1] != "200":
            raise RestError(status)
        pairs = (line.partition(":") for line in lines if line)
        return {name.lower(): value.strip() for name, _, value in pairs}

    async def _pieces(self, headers: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        if headers.get("transfer-encoding") != "chunked":
            left = int(headers["content-length"])
            while left:
                piece = await self._reader.read(min(left, READ_BYTES))
                if not piece:
                    raise RestError("the connection was closed early")
                left -= len(piece)
                yield piece
            return
        while (chunk := await self._chunk()) != LAST_CHUNK:
            yield chunk

    async def _chunk(self) -> bytes:
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        chunk = await self._reader.readexactly(size + 2)
        return chunk[:-2]


def _form_start(path: str, fields: Mapping[str, str], name: str, file: Path) -> bytes:
    """Returns all of a request up to the content of its file."""
    texts = "".join(f"{_part(field)}\r\n\r\n{text}\r\n" for field, text in fields.items())
    start = f'{texts}{_part(name)}; filename="{file.name}"\r\n\r\n'
    length = len(start.encode()) + file.stat().st_size + len(FORM_END)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n"
        f"content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    return (head + start).encode()


def _part(name: str) -> str:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """Opens a connection to a gateway on this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4 * READ_BYTES)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
