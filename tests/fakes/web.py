"""A web server that says what a test wants, names that lead where a test wants, and a canary."""

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpcore

PUBLIC = "93.184.215.14"
Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes = b"", *, status: int = 200, **headers: Any) -> bytes:
    """Writes a response; a header's name has underscores, and None leaves one out."""
    lines = {"content_length": len(body), **headers}
    head = "".join(
        f"{name.replace('_', '-')}: {value}\r\n"
        for name, value in lines.items()
        if value is not None
    )
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


def redirect(location: str, *, status: int = 302) -> bytes:
    """Writes a redirect."""
    return answer(status=status, location=location)


@dataclass
class Web:
    """Serves `answers` by target on 127.0.0.1; a list is said one by one, the last for ever."""

    ssl_context: ssl.SSLContext | None = None
    answers: dict[str, bytes | Script | Sequence[bytes | Script]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._busy: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self.ssl_context
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            target = head.split(" ")[1]
            self.requests.append(target)
            self.heads.append(head)
            said = self._next(target)
            if callable(said):
                await said(writer)
            else:
                writer.write(said)
                await writer.drain()
        except OSError:
            pass  # the caller has left
        finally:
            writer.close()

    def _next(self, target: str) -> bytes | Script:
        said = self.answers.get(target, answer(status=404))
        if isinstance(said, bytes) or callable(said):
            return said
        return said[min(self.requests.count(target), len(said)) - 1]


@dataclass
class Names:
    """A resolver: gives the addresses of a name, those of a list of lists one after the other."""

    addresses: dict[str, Sequence[Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Resolves as the system's resolver does: an address is its own."""
        self.asked.append(host)
        if host not in self.addresses and host.strip("0123456789abcdef:.") == "":
            return [host]
        found = self.addresses.get(host, ())
        if found and not isinstance(found[0], str):
            found = found[min(self.asked.count(host), len(found)) - 1]
        if not found:
            raise OSError("no such name")
        return list(found)


class Wire:
    """Stands for the network: connections to `PUBLIC` reach a Web, others nobody; all are noted."""

    def __init__(self, web: Web) -> None:
        self.connections: list[tuple[str, int]] = []
        self._web = web
        self._connect = httpcore.AnyIOBackend.connect_tcp

    def patch(self) -> Callable[..., Awaitable[httpcore.AsyncNetworkStream]]:
        """Returns what replaces the connecting method of httpcore's backend."""
        wire = self

        async def connect_tcp(
            self: httpcore.AnyIOBackend, host: str, port: int, *rest: Any
        ) -> httpcore.AsyncNetworkStream:
            wire.connections.append((host, port))
            if host != PUBLIC:
                raise httpcore.ConnectError
            return await wire._connect(self, "127.0.0.1", wire._web.port, *rest)

        return connect_tcp


def certificate(folder: Path, host: str) -> Path:
    """Makes a certificate that signs itself, with its key in the same file."""
    path = folder / f"{host}.pem"
    key = folder / f"{host}.key"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN={host} -addext subjectAltName=DNS:{host}"
    )
    arguments = [*command.split(), "-keyout", str(key), "-out", str(path)]
    subprocess.run(arguments, check=True, capture_output=True, timeout=60)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def serving(certificate: Path) -> ssl.SSLContext:
    """Returns the context of a server with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
