"""The gRPC server of sessions: every service of theirs behind one port or socket."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from telefuser_grpc._gen.telefuser.rest.v1 import (
    rest_docs_service_pb2,
    rest_docs_service_pb2_grpc,
    rest_stream_service_pb2,
    rest_stream_service_pb2_grpc,
    rest_system_service_pb2,
    rest_system_service_pb2_grpc,
)
from telefuser_grpc._gen.telefuser.v1 import (
    session_service_pb2,
    session_service_pb2_grpc,
    system_service_pb2,
    system_service_pb2_grpc,
)
from telefuser_grpc.scheduler.sessions import Sessions
from telefuser_grpc.scheduler.stream_service import StreamService
from telefuser_grpc.server.interceptors.keys import KeyCheck
from telefuser_grpc.server.listener import Listener
from telefuser_grpc.server.rest.bodies import ErrorFormat, documented_wording
from telefuser_grpc.server.rest.docs import RestDocsServicer
from telefuser_grpc.server.rest.stream_system import DescribedStream, session_counts
from telefuser_grpc.server.rest.streams import RestStreamServicer
from telefuser_grpc.server.rest.system import RestSystemServicer
from telefuser_grpc.server.sessions import SessionServicer
from telefuser_grpc.server.stream_system import StreamSystemServicer
from telefuser_grpc.server.wording import Wordings

MODULES = (
    session_service_pb2,
    system_service_pb2,
    rest_docs_service_pb2,
    rest_stream_service_pb2,
    rest_system_service_pb2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamUseCases:
    """What the servicers call; metrics are None where they are disabled."""

    sessions: Sessions
    service: StreamService
    metrics: Callable[[], bytes] | None = None
    metrics_json: Callable[[], Mapping[str, Any]] | None = None

    def summary(self) -> Callable[[], Mapping[str, Any]] | None:
        """Returns what writes the JSON metrics with the sessions among them."""
        write = self.metrics_json
        return write and (lambda: {**write(), "webrtc": session_counts(self.service)})


class StreamServer:
    """Listens on one address from `start` to `stop`."""

    def __init__(
        self,
        address: str,
        use_cases: StreamUseCases,
        *,
        max_message_bytes: int,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        keys: KeyCheck | None = None,
        error_format: ErrorFormat = ErrorFormat.DOCUMENTED,
    ) -> None:
        self._listener = Listener(
            address,
            Wordings(documented_wording(error_format)),
            max_message_bytes=max_message_bytes,
            interceptors=interceptors,
            keys=keys,
        )
        self._add_services(self._listener.grpc, use_cases)
        self._listener.describe(MODULES)

    async def start(self) -> int:
        """Begins to listen and returns the port, 0 for a socket. Raises AddressInUse."""
        return await self._listener.start()

    async def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, lets the current ones end within the grace, then cuts them."""
        await self._listener.stop(grace_seconds)

    def _add_services(self, server: grpc.aio.Server, use: StreamUseCases) -> None:
        session_service_pb2_grpc.add_SessionServiceServicer_to_server(
            SessionServicer(use.sessions), server
        )
        system_service_pb2_grpc.add_SystemServiceServicer_to_server(
            StreamSystemServicer(use.service), server
        )
        rest_stream_service_pb2_grpc.add_RestStreamServiceServicer_to_server(
            RestStreamServicer(use.sessions), server
        )
        rest_system_service_pb2_grpc.add_RestSystemServiceServicer_to_server(
            RestSystemServicer(
                DescribedStream(use.service), metrics=use.metrics, metrics_json=use.summary()
            ),
            server,
        )
        rest_docs_service_pb2_grpc.add_RestDocsServiceServicer_to_server(
            RestDocsServicer(_openapi), server
        )


def _openapi() -> dict[str, Any]:
    from telefuser_grpc.server.openapi.document import stream_document

    return stream_document()
