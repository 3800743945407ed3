"""What callers reach: the server on its socket or port, and the gateway beside it."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import grpc
import structlog

from telefuser_grpc.app import parts
from telefuser_grpc.app.keys import LiveKeys, key_check, warn_of_openness
from telefuser_grpc.app.runtime import runtime_folder
from telefuser_grpc.config import Settings
from telefuser_grpc.gateway.descriptors import Face
from telefuser_grpc.gateway.process import Gateway
from telefuser_grpc.server.interceptors.keys import KeyCheck
from telefuser_grpc.telemetry.grpc_metrics import MetricsInterceptor
from telefuser_grpc.telemetry.grpc_tracing import TracingInterceptor
from telefuser_grpc.telemetry.metrics import Metrics

logger = structlog.get_logger()

STREAM_GRACE_SECONDS = 1.0


class Listening(Protocol):
    """A server that has its services and does not listen yet."""

    async def start(self) -> int: ...

    async def stop(self, grace_seconds: float) -> None: ...


async def listen(
    stack: AsyncExitStack,
    settings: Settings,
    keys: LiveKeys,
    *,
    root: Path,
    build: Callable[[str, KeyCheck | None], Listening],
    face: Face = Face.TASKS,
) -> None:
    """Lets callers in until the stack closes.

    Args:
        build: Makes the server for an address.

    Raises:
        AddressInUse, GatewayError
    """
    runtime = stack.enter_context(runtime_folder(root))
    socket = runtime / "server.sock"
    address = f"unix:{socket}" if settings.gateway else f"{settings.host}:{settings.port}"
    server = build(address, key_check(settings, keys))
    port = await server.start()
    stack.push_async_callback(server.stop, 0)  # should the gateway not start
    if settings.gateway:
        options = parts.gateway_options(
            settings, upstream=str(socket), root=root, keys=keys.current, face=face
        )
        gateway = Gateway(options, runtime / "gateway")
        port = (await stack.enter_async_context(gateway)).port
        keys.hand_to(gateway)
        stack.push_async_callback(server.stop, STREAM_GRACE_SECONDS)  # ends watchers first
    stack.enter_context(keys)
    warn_of_openness(settings, keys)
    logger.info("server listens", host=settings.host, port=port, gateway=settings.gateway)


def interceptors(settings: Settings, metrics: Metrics | None) -> list[grpc.aio.ServerInterceptor]:
    """Returns what sees every call, the outermost first."""
    tracing = [TracingInterceptor()] if settings.otlp_endpoint else []
    return [*tracing, *([MetricsInterceptor(metrics)] if metrics else [])]
