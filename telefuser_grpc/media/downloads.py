"""Fetches media from the web, without letting callers reach what lies behind this server."""

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from telefuser_grpc.errors import UploadTooLarge, UrlNotAccessible
from telefuser_grpc.media.disk import in_thread, writing
from telefuser_grpc.media.url import Unfetchable, Url

if TYPE_CHECKING:
    import httpcore  # loaded with the first URL: the server's memory is tight

    from telefuser_grpc.media.transport import Resolver, Transport

FLUSH_BYTES = 2**20
OK = 200
REDIRECTS = (301, 302, 303, 307, 308)
LEAST_SERVER_FAULT = 500

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """How long and how often a download is tried; the first pause doubles up to the longest."""

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    total_seconds: float = 45.0
    attempts: int = 3
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 10.0
    redirects: int = 5


class Downloads:
    """Fetches http and https URLs from public addresses.

    Args:
        max_bytes: Of one file.
        allow_private: Whether private networks and this machine may be fetched from too.
        ports: Which ports URLs may name; None opens all.
        verify_ssl: Whether certificates are checked.
        ssl_cert_path: Certificates of authorities to trust besides the usual ones.
        resolve: Finds the addresses of a name; None asks the system.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        allow_private: bool = False,
        ports: Collection[int] | None = (80, 443),
        verify_ssl: bool = True,
        ssl_cert_path: Path | None = None,
        limits: DownloadLimits = DownloadLimits(),
        resolve: "Resolver | None" = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._allow_private = allow_private
        self._ports = ports
        self._verify_ssl = verify_ssl
        self._ssl_cert_path = ssl_cert_path
        self._limits = limits
        self._resolve = resolve
        self._transport: Transport | None = None

    def check(self, field: str, reference: str) -> None:
        """Refuses what can be refused without the network. Raises UrlNotAccessible."""
        with _told_of(field):
            self._admitted(Url.parse(reference))

    async def fetch(self, field: str, reference: str, path: Path) -> None:
        """Writes what a URL holds to a new file; the caller removes it after an error.

        Raises:
            UrlNotAccessible, UploadTooLarge, StorageFull
        """
        started = time.monotonic()
        with _told_of(field):
            url = self._admitted(Url.parse(reference))
            try:
                async with asyncio.timeout(self._limits.total_seconds):
                    await self._try(field, url, path)
            except TimeoutError as error:
                raise Unfetchable(
                    f"it took longer than {self._limits.total_seconds:g} s; upload the file"
                ) from error
        seconds = round(time.monotonic() - started, 3)
        logger.info("input fetched", field=field, host=url.host, seconds=seconds)

    def _admitted(self, url: Url) -> Url:
        if self._ports is not None and url.port not in self._ports:
            ports = " or ".join(map(str, self._ports))
            raise Unfetchable(f"its port is not {ports}; serve it there, or upload the file")
        return url

    async def _try(self, field: str, url: Url, path: Path) -> None:
        pause = self._limits.first_pause_seconds
        for _ in range(self._limits.attempts - 1):
            try:
                return await self._follow(field, url, path)
            except Unfetchable as fault:
                if not fault.is_passing:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._limits.longest_pause_seconds)
        return await self._follow(field, url, path)

    async def _follow(self, field: str, url: Url, path: Path) -> None:
        for _ in range(self._limits.redirects + 1):
            async with self._open_transport().get(url) as response:
                location = _location(response)
                if location is None:
                    return await self._save(field, response, path)
            url = self._admitted(url.follow(location))
        raise Unfetchable(
            f"it redirects more than {self._limits.redirects} times; give the final address"
        )

    def _open_transport(self) -> "Transport":
        if self._transport is None:
            from telefuser_grpc.media.transport import Transport, resolve

            self._transport = Transport(
                resolve=self._resolve or resolve,
                allow_private=self._allow_private,
                verify_ssl=self._verify_ssl,
                ssl_cert_path=self._ssl_cert_path,
                connect_seconds=self._limits.connect_seconds,
                read_seconds=self._limits.read_seconds,
            )
        return self._transport

    async def _save(self, field: str, response: "httpcore.Response", path: Path) -> None:
        _check_head(response)
        if int(_header(response, b"content-length") or 0) > self._max_bytes:
            raise UploadTooLarge(field, self._max_bytes)
        size_bytes = 0
        waiting = bytearray()
        await in_thread(_append, path, b"", mode="wb")  # an earlier try may have left a part
        async for chunk in response.aiter_stream():
            size_bytes += len(chunk)
            if size_bytes > self._max_bytes:
                raise UploadTooLarge(field, self._max_bytes)
            waiting += chunk
            if len(waiting) >= FLUSH_BYTES:
                await in_thread(_append, path, bytes(waiting))
                waiting.clear()
        await in_thread(_append, path, bytes(waiting))


@contextmanager
def _told_of(field: str) -> Iterator[None]:
    try:
        yield
    except Unfetchable as fault:
        raise UrlNotAccessible(field, fault.message) from fault


def _location(response: "httpcore.Response") -> str | None:
    """Returns where a response redirects to, as far as it does."""
    location = _header(response, b"location") if response.status in REDIRECTS else b""
    return location.decode("utf-8", "replace") if location else None


def _check_head(response: "httpcore.Response") -> None:
    """Refuses a response that brings no media. Raises Unfetchable."""
    if response.status >= LEAST_SERVER_FAULT:
        raise Unfetchable(
            f"its host answers {response.status}; try again later, or upload the file",
            is_passing=True,
        )
    if response.status != OK:
        raise Unfetchable(
            f"its host answers {response.status}; check that it opens without a login, or upload "
            "the file"
        )
    encoding = _header(response, b"content-encoding").lower()
    if encoding not in (b"", b"identity"):
        raise Unfetchable("its host sends it compressed although asked not to; upload the file")


def _header(response: "httpcore.Response", name: bytes) -> bytes:
    return next((value.strip() for key, value in response.headers if key.lower() == name), b"")


def _append(path: Path, content: bytes, *, mode: str = "ab") -> None:
    with writing(), path.open(mode) as file:
        file.write(content)
