"""One HTTP request to an address that was checked; imported with the first URL only."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpcore
import structlog

from telefuser_grpc.media.addresses import may_fetch_from
from telefuser_grpc.media.disk import in_thread
from telefuser_grpc.media.url import Unfetchable, Url

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

MAX_ADDRESSES = 4
# One text for a private address and for none at all, so that nobody can list the names inside.
NO_ADDRESS = (
    "its host has no address that this server fetches from; give a public one, or upload the file"
)
NO_ANSWER = "its host does not answer properly; try again later, or upload the file"

logger = structlog.get_logger()


async def resolve(host: str, port: int) -> Sequence[str]:
    """Asks the system's resolver for the addresses of a name. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Transport:
    """How requests leave this server."""

    def __init__(
        self,
        *,
        resolve: Resolver,
        allow_private: bool,
        verify_ssl: bool,
        ssl_cert_path: Path | None,
        connect_seconds: float,
        read_seconds: float,
    ) -> None:
        self._backend = _PinnedBackend(resolve, allow_private=allow_private)
        self._verify_ssl = verify_ssl
        self._ssl_cert_path = ssl_cert_path
        self._ssl_context: ssl.SSLContext | None = None
        self._timeouts = {
            "connect": connect_seconds,
            "read": read_seconds,
            "write": connect_seconds,
            "pool": connect_seconds,
        }

    @asynccontextmanager
    async def get(self, url: Url) -> AsyncIterator[httpcore.Response]:
        """Sends a GET and yields the response, its body unread. Raises Unfetchable.

        Neither is a redirect followed nor a body decompressed.
        """
        headers = [
            ("Host", url.authority),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
            ("User-Agent", "telefuser-grpc"),
        ]
        address = httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target)
        with _told_as_unfetchable():
            async with (
                httpcore.AsyncConnectionPool(
                    ssl_context=await self._context(url), network_backend=self._backend
                ) as pool,
                pool.stream(
                    "GET", address, headers=headers, extensions={"timeout": self._timeouts}
                ) as response,
            ):
                yield response

    async def _context(self, url: Url) -> ssl.SSLContext | None:
        if url.scheme == "https" and self._ssl_context is None:
            self._ssl_context = await in_thread(self._make_context)
        return self._ssl_context

    def _make_context(self) -> ssl.SSLContext:
        context = httpcore.default_ssl_context()
        if self._ssl_cert_path:
            context.load_verify_locations(self._ssl_cert_path)
        if not self._verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class _PinnedBackend(httpcore.AnyIOBackend):
    """Resolves a name once, checks its addresses, and connects to one of these and no other.

    So a name that changes its address between the check and the connection gains nothing. TLS
    goes on checking the name.
    """

    def __init__(self, resolve: Resolver, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects within the timeout, the time for the resolver included."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._addresses(host, port)
                share = timeout and timeout / len(addresses)
                return await self._first(addresses, port, share, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        """Returns where to connect; a name with one private address has none."""
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            is_passing = getattr(error, "errno", None) == socket.EAI_AGAIN
            raise Unfetchable(NO_ADDRESS, is_passing=is_passing) from error
        private = [
            each
            for each in addresses
            if not may_fetch_from(each, allow_private=self._allow_private)
        ]
        if private:
            logger.warning("private address refused", host=host, addresses=private)
        if private or not addresses:
            raise Unfetchable(NO_ADDRESS)
        return addresses[:MAX_ADDRESSES]

    async def _first(
        self,
        addresses: Sequence[str],
        port: int,
        timeout: float | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = addresses
        for address in others:
            try:
                return await super().connect_tcp(address, port, timeout, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await super().connect_tcp(last, port, timeout, None, socket_options)


@contextmanager
def _told_as_unfetchable() -> Iterator[None]:
    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        match error.args:
            case (ssl.SSLCertVerificationError() as fault,):
                raise _untrusted(fault) from error
        raise Unfetchable(NO_ANSWER, is_passing=True) from error
    except ssl.SSLError as error:  # in the middle of a body
        raise Unfetchable(NO_ANSWER, is_passing=True) from error


def _untrusted(error: ssl.SSLCertVerificationError) -> Unfetchable:
    why = error.verify_message.rstrip(".")
    return Unfetchable(f"its certificate is not trusted ({why}); upload the file")
