"""The documented REST face of the service itself."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.telefuser.rest.v1 import rest_system_service_pb2 as pb
from telefuser_grpc._gen.telefuser.rest.v1.rest_system_service_pb2_grpc import (
    RestSystemServiceServicer,
)
from telefuser_grpc.domain.contract import PipelineContract, TaskContract
from telefuser_grpc.domain.parameter import Parameter
from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.sizes import InputLimits
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import NotFound
from telefuser_grpc.scheduler.service import Service
from telefuser_grpc.server.rest.bodies import json_response
from telefuser_grpc.server.rpc import Context

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DOCUMENTED_VERSION = "1.0.0"  # of the REST interface, not of this package


class MetricsDisabled(NotFound):
    """There is no page, as nothing is counted."""

    def __init__(self) -> None:
        super().__init__(
            "Metrics are disabled; start the service with TELEFUSER_ENABLE_METRICS=true"
        )


class Described(Protocol):
    """What a service writes of itself, whatever it serves."""

    @property
    def is_ready(self) -> bool:
        """Whether it would do what it is for."""
        ...

    def health(self) -> dict[str, Any]:
        """What health and readiness say beside status, time and version."""
        ...

    def status(self) -> dict[str, Any]:
        """Writes `GET /v1/service/status`."""
        ...

    def metadata(self) -> dict[str, Any]:
        """Writes `GET /v1/service/metadata`. Raises PipelineNotReady, StreamNotRunning."""
        ...


class RestSystemServicer(RestSystemServiceServicer):
    """Answers `telefuser.rest.v1.RestSystemService`.

    Args:
        metrics: Writes the page for Prometheus, in any thread; None where metrics are disabled.
        metrics_json: Returns the summary of it, likewise.
    """

    def __init__(
        self,
        described: Described,
        *,
        metrics: Callable[[], bytes] | None,
        metrics_json: Callable[[], Mapping[str, Any]] | None,
    ) -> None:
        self._described = described
        self._metrics = metrics
        self._metrics_json = metrics_json

    async def GetHealth(
        self, request: pb.GetHealthRequest, context: Context
    ) -> pb.GetHealthResponse:
        return pb.GetHealthResponse(body=json_response(self._health("healthy")))

    async def GetReadiness(
        self, request: pb.GetReadinessRequest, context: Context
    ) -> pb.GetReadinessResponse:
        is_ready = self._described.is_ready
        if not is_ready:
            await context.send_initial_metadata((("x-http-status", "503"), ("retry-after", "5")))
        body = self._health("ready" if is_ready else "not_ready")
        return pb.GetReadinessResponse(body=json_response(body))

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        return pb.GetStatusResponse(body=json_response(self._described.status()))

    async def GetMetadata(
        self, request: pb.GetMetadataRequest, context: Context
    ) -> pb.GetMetadataResponse:
        return pb.GetMetadataResponse(body=json_response(self._described.metadata()))

    async def GetMetrics(
        self, request: pb.GetMetricsRequest, context: Context
    ) -> pb.GetMetricsResponse:
        if self._metrics is None:
            raise MetricsDisabled
        page = await asyncio.to_thread(self._metrics)  # a driver may take its time to tell of GPUs
        return pb.GetMetricsResponse(body=HttpBody(content_type=METRICS_TYPE, data=page))

    async def GetMetricsJson(
        self, request: pb.GetMetricsJsonRequest, context: Context
    ) -> pb.GetMetricsJsonResponse:
        if self._metrics_json is None:
            raise MetricsDisabled
        summary = await asyncio.to_thread(self._metrics_json)
        return pb.GetMetricsJsonResponse(body=json_response(summary))

    def _health(self, status: str) -> dict[str, Any]:
        return {
            "status": status,
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "version": DOCUMENTED_VERSION,
            **self._described.health(),
        }


@dataclass(frozen=True, slots=True)
class DescribedTasks:
    """What a service of tasks writes of itself."""

    service: Service

    @property
    def is_ready(self) -> bool:
        """Whether tasks would run."""
        return self.service.is_ready

    def health(self) -> dict[str, Any]:
        """The documented key, and upstream's."""
        return {"pipeline_ready": self.is_ready, "ready": self.is_ready}

    def status(self) -> dict[str, Any]:
        """Writes `GET /v1/service/status`."""
        return status_body(self.service)

    def metadata(self) -> dict[str, Any]:
        """Writes `GET /v1/service/metadata`. Raises PipelineNotReady."""
        return metadata_body(self.service)


def status_body(service: Service) -> dict[str, Any]:
    """Writes `GET /v1/service/status`."""
    running, running_count = service.running(), service.running_count()
    counts, live = service.counts(), service.live_replicas()
    return {
        "service_status": "busy" if running_count else "idle",
        "current_task": running[0] if running else None,
        "current_tasks": running,
        "processing_count": running_count,
        "max_concurrent_processing": live,
        "active_tasks": running,
        "pending_tasks": counts[TaskState.PENDING],
        "queue_size": service.queue_limit,
        "total_tasks": sum(counts.values()),
        "completed_tasks": counts[TaskState.COMPLETED],
        "failed_tasks": counts[TaskState.FAILED],
        "cancelled_tasks": counts[TaskState.CANCELLED],
        "effective_max_concurrent_tasks": live,
        "configured_max_concurrent_tasks": service.facts.configured_concurrency,
        "execution_mode": _execution_mode(service),
        "pool": [replica_body(status) for status in service.replicas()],
    }


def metadata_body(service: Service) -> dict[str, Any]:
    """Writes `GET /v1/service/metadata`; parameters keep their order. Raises PipelineNotReady."""
    contract, facts = service.contract, service.facts
    body = {
        "pipeline_file": path_text(facts.pipeline_file),
        "parallelism": facts.parallelism,
        "task": facts.task or next(iter(contract.tasks)),
        "security_level": facts.security_level,
        "runner": "PipelineRunner",
        **_contract(contract),
        "execution_mode": _execution_mode(service),
        "effective_max_concurrent_tasks": service.live_replicas(),
        "service_effective_max_concurrent_tasks": facts.replicas,
        "service_configured_max_concurrent_tasks": facts.configured_concurrency,
        "max_queue_size": service.queue_limit,
    }
    if facts.replicas > 1:
        body["pool"] = {
            "num_replicas": facts.replicas,
            "live_replicas": service.live_replicas(),
            "replica_device_ids": [replica.devices for replica in service.replicas()],
            "per_instance_execution_mode": contract.execution_mode,
        }
    return body


def path_text(path: str) -> str:
    """Writes a path as documented: a relative one begins with a dot."""
    return path if path.startswith(("/", "./", "../")) else f"./{path}"


def _execution_mode(service: Service) -> str:
    return "concurrent_pipeline_pool" if service.facts.replicas > 1 else "serial_single_pipeline"


def replica_body(status: ReplicaStatus) -> dict[str, Any]:
    """The documented three keys with the documented words, then ours."""
    documented = "dead" if status.state is ReplicaState.STARTING else str(status.state)
    return {
        "id": status.id,
        "device_ids": status.devices,
        "status": documented,
        "state": str(status.state),
        "task_id": status.task_id or None,
        "task_ids": status.task_ids,
        "restarts": status.restarts,
        "pid": status.pid or None,
        "last_error": status.last_error or None,
    }


def _contract(contract: PipelineContract) -> dict[str, Any]:
    return {
        "declared_pipeline_contract": contract.declared,
        "contract_version": contract.contract_version,
        "pipeline_name": contract.pipeline_name,
        "supported_tasks": list(contract.tasks),
        "supported_media_types": contract.media_types,
        "entrypoints": dict(contract.entrypoints),
        "task_contracts": {kind: _task(each) for kind, each in contract.tasks.items()},
    }


def _task(task: TaskContract) -> dict[str, Any]:
    """The documented keys, then ours where the contract declares it."""
    body: dict[str, Any] = {
        "media_type": task.media_type,
        "required_inputs": task.required_inputs,
        "optional_inputs": task.optional_inputs,
        "parameters": {
            name: _parameter(each) for name, each in task.parameters.items() if each.exposed
        },
    }
    if batching := task.batching:
        body["batch"] = {"keys": batching.keys, "max_size": batching.max_size}
    if task.input_limits:
        body["input_limits"] = {name: _given(each) for name, each in task.input_limits.items()}
    if task.max_pixels is not None:
        body["max_pixels"] = task.max_pixels
    return body


def _given(limits: InputLimits) -> dict[str, float]:
    return {name: limit for name, limit in asdict(limits).items() if limit is not None}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    bounds = {
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "min_length": parameter.min_length,
        "max_length": parameter.max_length,
        "pattern": parameter.pattern or None,
        "unit": parameter.unit or None,
    }
    return {
        "type": parameter.type,
        "required": parameter.required,
        "default": parameter.default,
        "description": parameter.description,
        "enum": parameter.enum,
        "exposed": parameter.exposed,
        **{name: bound for name, bound in bounds.items() if bound is not None},
    }
