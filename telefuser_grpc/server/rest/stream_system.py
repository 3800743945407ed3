"""The documented REST face of a service of sessions itself."""

from dataclasses import dataclass
from typing import Any

from telefuser_grpc.domain.session import Phase, StreamMode
from telefuser_grpc.scheduler.stream_service import StreamService
from telefuser_grpc.server.rest.system import path_text, replica_body


@dataclass(frozen=True, slots=True)
class DescribedStream:
    """What a service of sessions writes of itself."""

    service: StreamService

    @property
    def is_ready(self) -> bool:
        """Whether a session could be opened."""
        return self.service.is_ready

    def health(self) -> dict[str, Any]:
        """Who speaks, and how many sessions there are."""
        mode = self.service.mode
        return {
            "ready": self.is_ready,
            "stream_ready": self.is_ready,
            "stream_mode": mode and str(mode),
            **session_counts(self.service),
        }

    def status(self) -> dict[str, Any]:
        """Writes `GET /v1/service/status`."""
        return status_body(self.service)

    def metadata(self) -> dict[str, Any]:
        """Writes `GET /v1/service/metadata`. Raises StreamNotRunning."""
        return metadata_body(self.service)


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
        **session_counts(service),
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
        **session_counts(service),
        "performance": {"phases": [_phase(each) for each in loaded.phases]},
        "environment": loaded.environment,
    }


def session_counts(service: StreamService) -> dict[str, Any]:
    """Writes the documented keys of sessions."""
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
