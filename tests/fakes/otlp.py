"""An OTLP trace receiver: what a collector is, without the rest of one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Condition
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span


class OtlpReceiver(TraceServiceServicer):
    """Keeps the spans that are exported to it. It has threads of its own: no loop can block it."""

    def __init__(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(max_workers=2))
        self._received = Condition()
        self._groups: list[ResourceSpans] = []
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> "OtlpReceiver":
        add_TraceServiceServicer_to_server(self, self._server)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def Export(
        self, request: pb.ExportTraceServiceRequest, context: Any
    ) -> pb.ExportTraceServiceResponse:
        with self._received:
            self._groups.extend(request.resource_spans)
            self._received.notify_all()
        return pb.ExportTraceServiceResponse()

    @property
    def spans(self) -> list[Span]:
        """All spans so far."""
        return [
            span for group in self._groups for scope in group.scope_spans for span in scope.spans
        ]

    def span(self, name: str) -> Span:
        """The only span of that name; waits for it."""
        self._wait(lambda: any(span.name == name for span in self.spans))
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def resource_of(self, span: Span) -> dict[str, str]:
        """The attributes of the process that a span comes from."""
        for group in self._groups:
            if any(span in scope.spans for scope in group.scope_spans):
                return attributes_of(group.resource)
        raise LookupError(span.name)

    def _wait(self, arrived: Callable[[], bool]) -> None:
        with self._received:
            assert self._received.wait_for(arrived, timeout=30), [s.name for s in self.spans]


def attributes_of(carrier: Any) -> dict[str, Any]:
    """The attributes of a span, an event or a resource as plain values."""
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in carrier.attributes
    }
