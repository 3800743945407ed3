"""The documented REST face of a service of sessions itself."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.telefuser.rest.v1 import rest_system_service_pb2 as pb
from telefuser_grpc._gen.telefuser.rest.v1.rest_system_service_pb2_grpc import (
    RestSystemServiceServicer,
)
from telefuser_grpc.domain.session import Phase, StreamMode
from telefuser_grpc.scheduler.stream_service import StreamService
from telefuser_grpc.server.rest.bodies import json_response
from telefuser_grpc.server.rest.system import (
    METRICS_TYPE,
    MetricsDisabled,
    health_body,
    path_text,
    replica_body,
)
from telefuser_grpc.server.rpc import Context


class RestStreamSystemServicer(RestSystemServiceServicer):
    """Answers `telefuser.rest.v1.RestSystemService` where sessions are served.

    Args:
        metrics: Writes the page for Prometheus, in any thread; None where metrics are disabled.
        metrics_json: Returns the summary of it, likewise.
    """

    def __init__(
        self,
        service: StreamService,
        *,
        metrics: Callable[[], bytes] | None,
        metrics_json: Callable[[], Mapping[str, Any]] | None,
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._metrics_json = metrics_json

    async def GetHealth(
        self, request: pb.GetHealthRequest, context: Context
    ) -> pb.GetHealthResponse:
        return pb.GetHealthResponse(body=json_response(self._health("healthy")))

    async def GetReadiness(
        self, request: pb.GetReadinessRequest, context: Context
    ) -> pb.GetReadinessResponse:
        is_ready = self._service.is_ready
        if not is_ready:
            await context.send_initial_metadata((("x-http-status", "503"), ("retry-after", "5")))
        body = self._health("ready" if is_ready else "not_ready")
        return pb.GetReadinessResponse(body=json_response(body))

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        return pb.GetStatusResponse(body=json_response(status_body(self._service)))

    async def GetMetadata(
        self, request: pb.GetMetadataRequest, context: Context
    ) -> pb.GetMetadataResponse:
        return pb.GetMetadataResponse(body=json_response(metadata_body(self._service)))

    async def GetMetrics(
        self, request: pb.GetMetricsRequest, context: Context
    ) -> pb.GetMetricsResponse:
        if self._metrics is None:
            raise MetricsDisabled
        page = await asyncio.to_thread(self._metrics)
        return pb.GetMetricsResponse(body=HttpBody(content_type=METRICS_TYPE, data=page))

    async def GetMetricsJson(
        self, request: pb.GetMetricsJsonRequest, context: Context
    ) -> pb.GetMetricsJsonResponse:
        if self._metrics_json is None:
            raise MetricsDisabled
        summary = await asyncio.to_thread(self._metrics_json)
        return pb.GetMetricsJsonResponse(
            body=json_response({**summary, "webrtc": _sessions(self._service)})
        )

    def _health(self, status: str) -> dict[str, Any]:
        mode = self._service.mode
        return {
            **health_body(status),
            "ready": self._service.is_ready,
            "stream_ready": self._service.is_ready,
            "stream_mode": mode and str(mode),
            **_sessions(self._service),
        }


def status_body(service: StreamService) -> dict[str, Any]:
    """Writes `GET /v1/service/status`: no tasks, and the caller's sessions."""
    streaming, is_active = service.streaming(), bool(sum(service.counts().values()))
    return {
        "service_status": "active" if is_active else "idle",
        "current_task": None,
        "current_tasks": [],
        "processing_count": 0,
        "max_concurrent_processing": 1,
        "active_tasks": streaming,
        "pending_tasks": 0,
        "queue_size": service.facts.queue_limit,
        "total_tasks": 0,
        "completed_tasks": 0,
        "failed_tasks": 0,
        "cancelled_tasks": 0,
        "effective_max_concurrent_tasks": 1,
        "configured_max_concurrent_tasks": service.facts.configured_concurrency,
        "execution_mode": "serial_single_pipeline",
        "pool": [replica_body(status) for status in service.replicas()],
        **_sessions(service),
    }


def metadata_body(service: StreamService) -> dict[str, Any]:
    """Writes `GET /v1/service/metadata`. Raises StreamNotRunning."""
    loaded, facts = service.loaded, service.facts
    return {
        "service_type": "stream",
        "stream_mode": str(loaded.mode),
        "pipeline_file": path_text(facts.pipeline_file),
        "security_level": facts.security_level,
        "runner": "StreamPipelineService",
        "max_queue_size": facts.queue_limit,
        "default_fps": loaded.default_fps,
        **_sessions(service),
        "performance": {"phases": [_phase(each) for each in loaded.phases]},
        "environment": loaded.environment,
    }


def _sessions(service: StreamService) -> dict[str, Any]:
    counts = service.counts()
    push = counts.get(StreamMode.SERVER_PUSH, 0)
    both = counts.get(StreamMode.BIDIRECTIONAL, 0)
    return {
        "webrtc_active_sessions": push + both,
        "webrtc_server_push_sessions": push,
        "webrtc_bidirectional_sessions": both,
        "webrtc_max_sessions": service.limit,
        "webrtc_video_codec": service.facts.video_codec,
        "webrtc_video_bitrate": service.facts.video_bitrate,
    }


def _phase(phase: Phase) -> dict[str, Any]:
    return {
        "name": phase.name,
        "seconds": phase.seconds,
        "memory": [
            {
                "device": each.device,
                "peak_allocated_bytes": each.peak_allocated_bytes,
                "peak_reserved_bytes": each.peak_reserved_bytes,
            }
            for each in phase.memory
        ],
    }
