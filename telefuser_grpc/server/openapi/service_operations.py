"""The operations on the service itself and the pages of its documentation."""

from telefuser_grpc.server.openapi.errors import ErrorText
from telefuser_grpc.server.openapi.operation import (
    JSON,
    Answer,
    Content,
    Operation,
    Parameter,
    json_answer,
)
from telefuser_grpc.server.openapi.schemas import reference
from telefuser_grpc.server.openapi.service_bodies import (
    Health,
    Metadata,
    MetricsSummary,
    ServiceStatus,
)
from telefuser_grpc.server.openapi.task_bodies import FILM

SERVICE, DOCUMENTATION = "Service", "Documentation"
TEXT = {"type": "string"}
CACHED = ("ETag", "Cache-Control")
SAME = Answer(description="It is the one you have.", headers=("ETag",))
HEALTHY = {
    "status": "healthy",
    "timestamp": "2026-11-22T08:30:00Z",
    "version": "1.0.0",
    "pipeline_ready": True,
    "ready": True,
}
NOT_READY = HEALTHY | {"status": "not_ready", "pipeline_ready": False, "ready": False}
BUSY = {
    "service_status": "busy",
    "current_task": FILM,
    "current_tasks": [FILM],
    "processing_count": 1,
    "max_concurrent_processing": 1,
    "active_tasks": [FILM],
    "pending_tasks": 0,
    "queue_size": 10,
    "total_tasks": 4,
    "completed_tasks": 2,
    "failed_tasks": 1,
    "cancelled_tasks": 0,
    "effective_max_concurrent_tasks": 1,
    "configured_max_concurrent_tasks": 1,
    "execution_mode": "serial_single_pipeline",
    "pool": [
        {
            "id": 0,
            "device_ids": ["0"],
            "status": "busy",
            "state": "busy",
            "task_id": FILM,
            "task_ids": [FILM],
            "restarts": 0,
            "pid": 4711,
            "last_error": None,
        }
    ],
}
CONTRACT = {
    "pipeline_file": "moving_shapes.py",
    "parallelism": 1,
    "task": "t2v",
    "security_level": "STRICT",
    "runner": "PipelineRunner",
    "declared_pipeline_contract": True,
    "contract_version": "v1",
    "pipeline_name": "moving_shapes",
    "supported_tasks": ["t2v"],
    "supported_media_types": ["video"],
    "execution_mode": "serial_single_pipeline",
    "effective_max_concurrent_tasks": 1,
    "entrypoints": {"get_pipeline": "get_pipeline", "run_with_file": "run_with_file"},
    "task_contracts": {
        "t2v": {
            "media_type": "video",
            "required_inputs": [],
            "optional_inputs": [],
            "parameters": {
                "prompt": {
                    "type": "string",
                    "required": True,
                    "default": "",
                    "description": "What to show",
                    "enum": [],
                    "exposed": True,
                }
            },
        }
    },
    "service_effective_max_concurrent_tasks": 1,
    "service_configured_max_concurrent_tasks": 1,
    "max_queue_size": 10,
}
SUMMARY = {
    "uptime_seconds": 3600,
    "tasks": {"created": 100, "completed": 95, "failed": 3, "cancelled": 2},
    "queue": {"size": 6, "pending": 5, "processing": 1},
    "metrics_count": 25,
    "registered_stages": ["denoise"],
}
EXPOSITION = (
    "# HELP telefuser_tasks_created_total Tasks that were admitted.\n"
    "# TYPE telefuser_tasks_created_total counter\n"
    "telefuser_tasks_created_total 100.0\n"
)


def _page(summary: str, description: str) -> Operation:
    return Operation(
        tag=DOCUMENTATION,
        summary=summary,
        description=description,
        headers=("If-None-Match",),
        answers={
            200: Answer(
                description="The page.",
                content={"text/html": Content(schema=TEXT)},
                headers=CACHED,
            ),
            304: SAME,
        },
        errors=("RateLimited",),
    )


SERVICE_OPERATIONS = {
    "RestSystemService.GetHealth": Operation(
        tag=SERVICE,
        summary="Tell whether the service lives",
        description="Answers 200 even while no pipeline is loaded; for that, ask "
        "`/v1/service/ready`.",
        answers={200: json_answer("The service lives.", Health, {"healthy": HEALTHY})},
        errors=(),
    ),
    "RestSystemService.GetReadiness": Operation(
        tag=SERVICE,
        summary="Tell whether tasks would run",
        description="Answers 200 when a pipeline is loaded, a replica lives and the server is not "
        "stopping; else 503.",
        answers={
            200: json_answer("Tasks would run.", Health, {"ready": HEALTHY | {"status": "ready"}}),
            503: Answer(
                description="Tasks would not run, or the server does not answer.",
                content={
                    JSON: Content(
                        schema={"anyOf": [reference(Health), reference(ErrorText)]},
                        examples={
                            "not ready": NOT_READY,
                            "down": {"detail": "Service temporarily unavailable"},
                        },
                    )
                },
                headers=("Retry-After",),
            ),
        },
        errors=(),
    ),
    "RestSystemService.GetStatus": Operation(
        tag=SERVICE,
        summary="Get counts and replicas",
        description="Returns counts of tasks and the state of every replica.",
        answers={200: json_answer("The status.", ServiceStatus, {"busy": BUSY})},
        errors=("RateLimited",),
    ),
    "RestSystemService.GetMetadata": Operation(
        tag=SERVICE,
        summary="Get the pipeline's contract",
        description="Returns what the loaded pipeline makes, from what, with which parameters. "
        "Parameters keep the order of their declaration.",
        answers={200: json_answer("The contract.", Metadata, {"text to video": CONTRACT})},
        errors=("RateLimited",),
    ),
    "RestSystemService.GetMetrics": Operation(
        tag=SERVICE,
        summary="Get the metrics for Prometheus",
        description="Returns every metric in Prometheus' text format.",
        answers={
            200: Answer(
                description="The metrics.",
                content={"text/plain": Content(schema=TEXT, examples={"one metric": EXPOSITION})},
            )
        },
        errors=(),
    ),
    "RestSystemService.GetMetricsJson": Operation(
        tag=SERVICE,
        summary="Get the main metrics as JSON",
        description="Returns the main metrics, for people and small programs.",
        answers={200: json_answer("The metrics.", MetricsSummary, {"busy": SUMMARY})},
        errors=(),
    ),
    "RestDocsService.GetOpenApi": Operation(
        tag=DOCUMENTATION,
        summary="Get this document",
        description="Returns the OpenAPI 3.1 document of every documented path.",
        headers=("If-None-Match",),
        answers={
            200: Answer(
                description="The document.",
                content={
                    "application/json": Content(
                        schema={
                            "type": "object",
                            "required": ["openapi"],
                            "properties": {"openapi": {"type": "string", "pattern": "^3\\.1\\."}},
                        }
                    )
                },
                headers=CACHED,
            ),
            304: SAME,
        },
        errors=("RateLimited",),
    ),
    "RestDocsService.GetSwaggerUi": _page(
        "Read and try it in Swagger UI", "Shows this document, and sends requests from it."
    ),
    "RestDocsService.GetRedoc": _page("Read it in ReDoc", "Shows this document for reading."),
    "RestDocsService.GetDocsAsset": Operation(
        tag=DOCUMENTATION,
        summary="Get a script or style sheet",
        description="Returns what the two pages are made of.",
        parameters={
            "name": Parameter(description="The file's name.", example="swagger-ui.css"),
        },
        headers=("If-None-Match",),
        answers={
            200: Answer(
                description="The file.",
                content={each: Content(schema=TEXT) for each in ("text/javascript", "text/css")},
                headers=CACHED,
            ),
            304: SAME,
        },
        errors=("PageNotFound", "RateLimited"),
    ),
}
