"""What the REST clients share: sessions, refusals in words, patience, and files that come whole."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import requests

CHUNK_BYTES = 64 * 1024
COME_BACK = (429, 502, 503, 504)
MAX_DETAIL = 500
BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)

Answer = TypeVar("Answer")


def open_session() -> requests.Session:
    """Returns a session that goes straight to the service, past any proxy of the environment."""
    session = requests.Session()
    session.trust_env = False
    return session


def checked(response: requests.Response) -> requests.Response:
    """Returns a response that is no refusal.

    Raises:
        requests.HTTPError: What the service said is wrong.
    """
    if response.status_code >= 400:
        with response:
            text = f"HTTP {response.status_code}: {detail_of(response)}"
        raise requests.HTTPError(text, response=response)
    return response


def detail_of(response: requests.Response) -> str:
    """Returns what a refusal says, in words."""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return response.text[:MAX_DETAIL] or response.reason
    match body:
        case {"error": {"message": str(message)}}:
            return message
        case {"detail": list(faults)}:
            return "; ".join(map(_fault, faults))
        case {"detail": str(detail)}:
            return detail
        case _:
            return response.text[:MAX_DETAIL]


def _fault(fault: Any) -> str:
    match fault:
        case {"loc": list(loc), "msg": str(message)}:
            return f"{'.'.join(str(each) for each in loc[1:] or loc)}: {message}"
        case _:
            return str(fault)


def answers(
    ask: Callable[[], Answer],
    *,
    interval_seconds: float,
    timeout_seconds: float = float("inf"),
    silence_seconds: float = float("inf"),
) -> Iterator[Answer]:
    """Yields answer after answer until the time is over, the last one at its end.

    A service that is away for a moment is asked again, one that names a time after that.

    Raises:
        requests.RequestException: The question is wrong, or nobody has answered for long.
    """
    end = time.monotonic() + timeout_seconds
    heard = time.monotonic()
    while True:
        pause = interval_seconds
        try:
            answer = ask()
        except (*BROKEN, requests.HTTPError) as error:
            if not _may_pass(error) or time.monotonic() - heard > silence_seconds:
                raise
            pause = max(pause, _retry_after_seconds(error.response))
        else:
            yield answer
            heard = time.monotonic()
        remaining = end - time.monotonic()
        if remaining <= 0:
            return
        time.sleep(min(pause, remaining))


def _may_pass(error: requests.RequestException) -> bool:
    return error.response is None or error.response.status_code in COME_BACK


def _retry_after_seconds(response: requests.Response | None) -> float:
    text = response.headers.get("retry-after", "") if response is not None else ""
    return float(text) if text.isdecimal() else 0.0


def save(response: requests.Response, path: Path) -> None:
    """Writes a body piece by piece; the file has its name only when it is whole."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
        part.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise
