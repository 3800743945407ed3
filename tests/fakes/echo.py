"""A server with one method of each kind, which does what the message says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc import aio

SERVICE = "test.v1.EchoService"


class Echo:
    """Answers with the message, three times in a stream.

    `NOT_FOUND` and other names of a status abort with it, `raise` raises, `wait` sets `waits` and
    waits for ever. `observe` is asked at each call and again at each message of a stream.
    """

    def __init__(self, observe: Callable[[], Any] = lambda: None) -> None:
        self.waits = asyncio.Event()
        self.observed: list[Any] = []
        self._observe = observe

    async def say(self, message: bytes, context: Any) -> bytes:
        self.observed.append(self._observe())
        await self._obey(message, context)
        return message

    async def repeat(self, message: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield await self.say(message, context)

    async def join(self, messages: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([await self.say(message, context) async for message in messages])

    async def chat(self, messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for message in messages:
            yield await self.say(message, context)

    def shout(self, message: bytes, _: Any) -> bytes:
        """Runs in a thread, as handlers that are not asynchronous do."""
        return message.upper()

    async def _obey(self, message: bytes, context: Any) -> None:
        match message:
            case b"raise":
                raise ValueError("/srv/secret/path")
            case b"wait":
                self.waits.set()
                await asyncio.Event().wait()
            case _ if message.isupper():
                await context.abort(grpc.StatusCode[message.decode()], "as was asked")


@asynccontextmanager
async def serve_echo(
    echo: Echo, interceptors: Sequence[aio.ServerInterceptor]
) -> AsyncIterator[aio.Channel]:
    """Serves the echo behind interceptors and yields a channel to it."""
    server = aio.server(interceptors=interceptors)
    handlers = {
        "Say": grpc.unary_unary_rpc_method_handler(echo.say),
        "Repeat": grpc.unary_stream_rpc_method_handler(echo.repeat),
        "Join": grpc.stream_unary_rpc_method_handler(echo.join),
        "Chat": grpc.stream_stream_rpc_method_handler(echo.chat),
        "Shout": grpc.unary_unary_rpc_method_handler(echo.shout),
    }
    for service in (SERVICE, "grpc.health.v1.Health"):
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)
