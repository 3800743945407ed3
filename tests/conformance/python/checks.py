"""What cases ask of answers, for clients with and without `async` alike."""

import base64
import inspect
import os
import select
import struct
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 20.0
CLOCK_SLACK_SECONDS = 30
SIGNATURES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp", b"GIF8": "gif"}
HIDDEN = ("Traceback", ".py", "/tmp/", "/root/")


async def settle(value: Any) -> Any:
    """Returns the answer of a call, made by either client."""
    return await value if inspect.isawaitable(value) else value


async def each(value: Any) -> AsyncIterator[Any]:
    """Goes through a page or a stream of either client."""
    if hasattr(value, "__aiter__"):
        async for item in value:
            yield item
    else:
        for item in value:
            yield item


async def refusal(call: Callable[[], Any]) -> Any:
    """Returns the error of a call that must be refused, and checks that it tells what it should."""
    try:
        answer = await settle(call())
    except Exception as error:
        if not hasattr(error, "status_code"):
            raise
        _check_error(error)
        return error
    raise AssertionError(f"was not refused: {answer}")


async def raised(kind: Any, call: Callable[[], Any]) -> Any:
    """Returns the error of a kind that a call raises."""
    try:
        answer = await settle(call())
    except kind as error:
        return error
    raise AssertionError(f"was not raised: {answer}")


def _check_error(error: Any) -> None:
    """Every error is the official object, has the request's id, and tells nothing of the server."""
    body = error.body
    assert isinstance(body, dict), body
    assert set(body) >= {"message", "type", "param", "code"}, body
    assert body["message"], body
    assert isinstance(error.type, str), body
    assert isinstance(error.code, str), body
    assert not any(each in str(body) for each in HIDDEN), body
    assert error.request_id, error.response.headers
    assert error.response.headers["content-type"].startswith("application/json")


def kind_of(data: bytes) -> str:
    """Names the format of a picture or a video."""
    if data[4:8] == b"ftyp":
        return "mp4"
    kinds = [kind for signature, kind in SIGNATURES.items() if data.startswith(signature)]
    assert kinds, data[:80]
    return kinds[0]


def size_of(png: bytes) -> tuple[int, int]:
    """Returns the size of a PNG."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def picture_of(item: Any) -> bytes:
    """Returns an image of an answer, wherever it is."""
    return base64.b64decode(item.b64_json) if item.b64_json else fetched(item.url)


def fetched(url: str) -> bytes:
    """Returns what a URL of an answer leads to; it asks for the key, as all does."""
    headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
        return response.read()


def is_recent(seconds: Any) -> bool:
    """Tells whether it is a number of seconds that was now, just now."""
    return isinstance(seconds, int) and abs(time.time() - seconds) < CLOCK_SLACK_SECONDS


class Ear:
    """A FIFO on which the pipeline says that a run has started, and how it has ended."""

    def __init__(self, path: str) -> None:
        self._path = path
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._lines: list[str] = []

    def __str__(self) -> str:
        return self._path

    def heard(self) -> str:
        """Waits for the next word."""
        if not self._lines:
            ready = select.poll()
            ready.register(self._descriptor, select.POLLIN)
            assert ready.poll(PATIENCE_SECONDS * 1000), "the pipeline says nothing"
            self._lines = os.read(self._descriptor, 100).decode().split()
        return self._lines.pop(0)


class Gate:
    """A FIFO at which the pipeline waits until it is opened."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        os.mkfifo(path)

    def __str__(self) -> str:
        return str(self._path)

    def open(self) -> None:
        """Lets everybody pass from now on."""
        if not self._path.is_fifo():
            return
        waiting = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        opened = self._path.with_suffix(".open")
        opened.touch()
        opened.replace(self._path)
        os.close(waiting)
