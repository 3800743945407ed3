"""One gRPC server on one port or socket, whatever services it has."""

from collections.abc import Iterable, Sequence
from typing import Any

import grpc
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from telefuser_grpc.errors import TeleFuserError
from telefuser_grpc.server.interceptors.boundary import Boundary
from telefuser_grpc.server.interceptors.keys import KeyCheck
from telefuser_grpc.server.wording import Wordings

MAX_METADATA_BYTES = 128 * 1024
OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # clients watch quiet streams
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    # What the gateway takes (60 KiB, and it copies the path) is answered here, in words.
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
)


class AddressInUse(TeleFuserError):
    """The server cannot listen where it was told to."""

    def __init__(self, address: str) -> None:
        super().__init__(f"cannot listen on {address}: it is in use; choose another --port")


class Listener:
    """Listens on one address from `start` to `stop`; services are added to `grpc` before."""

    def __init__(
        self,
        address: str,
        wordings: Wordings,
        *,
        max_message_bytes: int,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        keys: KeyCheck | None = None,
    ) -> None:
        self._address = address
        limits = [
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
        ]
        self.grpc = grpc.aio.server(
            interceptors=[*interceptors, Boundary(wordings), *([keys] if keys else [])],
            options=[*OPTIONS, *limits],
        )
        _find_methods_by_name(self.grpc)
        self._health = health.aio.HealthServicer()

    def describe(self, modules: Iterable[Any]) -> None:
        """Adds health, channelz, and reflection of the services in these generated modules."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        channelz.add_channelz_servicer(self.grpc)
        own = [name for module in modules for name in service_names(module)]
        reflection.enable_server_reflection(
            [*own, health.SERVICE_NAME, reflection.SERVICE_NAME], self.grpc
        )

    async def start(self) -> int:
        """Begins to listen and returns the port, 0 for a socket. Raises AddressInUse."""
        try:
            port = self.grpc.add_insecure_port(self._address)
        except RuntimeError:
            raise AddressInUse(self._address) from None
        await self.grpc.start()
        return 0 if self._address.startswith("unix:") else port

    async def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, lets the current ones end within the grace, then cuts them."""
        await self._health.enter_graceful_shutdown()
        await self.grpc.stop(grace_seconds)


def service_names(module: Any) -> list[str]:
    """Returns the full names of the services that a generated module describes."""
    return [each.full_name for each in module.DESCRIPTOR.services_by_name.values()]


def _find_methods_by_name(server: grpc.aio.Server) -> None:
    """Leaves methods that are added from now on to be found when they are called.

    For each one registered ahead, as generated code does besides, grpc.aio waits in a task of its
    own, and at each call begins all of these waits anew.
    """
    server.add_registered_method_handlers = lambda *_: None  # type: ignore[method-assign] # no option
