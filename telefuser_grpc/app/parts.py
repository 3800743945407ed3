"""Makes the parts' own options of the settings."""

import os
from pathlib import Path

import structlog

from telefuser_grpc.config import ConfigError, Settings, not_found, served_file
from telefuser_grpc.domain.api_key import ApiKey
from telefuser_grpc.domain.contract import Enforcement
from telefuser_grpc.gateway.descriptors import Face
from telefuser_grpc.gateway.options import GatewayOptions, RateLimit
from telefuser_grpc.media.downloads import DownloadLimits, Downloads
from telefuser_grpc.media.inputs import LocalMediaInputs
from telefuser_grpc.media.uploads import LocalUploads
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.probe import ProbeLimits
from telefuser_grpc.scheduler.limits import Limits, NoCapacityPolicy
from telefuser_grpc.scheduler.retention import Persistence, Retention
from telefuser_grpc.scheduler.service import ServiceFacts
from telefuser_grpc.server.rest.bodies import ErrorFormat
from telefuser_grpc.server.rest.forms import FILE_FIELDS
from telefuser_grpc.server.wan.files import FOLDER as WAN_FOLDER
from telefuser_grpc.telemetry.gpu import GpuReader, no_gpus
from telefuser_grpc.telemetry.gpus import machine_gpus
from telefuser_grpc.telemetry.log_target import LogTarget
from telefuser_grpc.telemetry.logging import configure_logging
from telefuser_grpc.telemetry.replica import ReplicaTelemetry
from telefuser_grpc.workers.devices import allot
from telefuser_grpc.workers.pool import LocalReplicaPool
from telefuser_grpc.workers.process import COMMAND

logger = structlog.get_logger()

MEBIBYTE = 2**20
SUBMISSION_SECONDS = 10.0
IDLE_MARGIN_SECONDS = 60.0
WAN_TOGETHER = 2
"""The tasks that the interface of Wan2.1 promises to run at once, at most."""


def pipeline_file(settings: Settings) -> Path:
    """Returns the absolute path of what is served. Raises ConfigError."""
    path = served_file(settings.pipe_path)
    if not path.is_file():
        raise ConfigError(not_found(path))
    return path.absolute()


def facts(settings: Settings, pipeline: Path) -> ServiceFacts:
    """Returns what the metadata says of the service itself."""
    return ServiceFacts(
        pipeline_file=str(settings.pipe_path or pipeline.name),
        parallelism=settings.device_count // settings.num_replicas,
        task=settings.task or "",
        replicas=settings.num_replicas,
        security_level=settings.security_level,
        configured_concurrency=settings.max_concurrent_tasks,
    )


def pool(settings: Settings, pipeline: Path) -> LocalReplicaPool:
    """Makes the replicas. Raises AllotmentError."""
    devices = allot(
        parallelism=settings.device_count,
        replicas=settings.num_replicas,
        environment=os.environ,
    )
    return LocalReplicaPool(
        pipeline,
        task=settings.task,
        replicas=settings.num_replicas,
        devices=devices,
        parallelism=settings.device_count // settings.num_replicas,
        preview_interval_seconds=settings.preview_interval,
        start_timeout_seconds=settings.start_timeout,
        stop_grace_seconds=settings.cancel_timeout,
        silence_seconds=settings.replica_timeout,
        max_tasks_per_replica=settings.max_tasks_per_replica,
        replica_max_rss_bytes=settings.replica_max_rss_bytes,
        warmup=settings.warmup,
        options=model_options(settings),
        temporary=settings.cache_dir.absolute() / "replicas",
        command=(*COMMAND, replica_telemetry(settings).argument),
    )


def replica_telemetry(settings: Settings) -> ReplicaTelemetry:
    """Returns how a replica logs and traces."""
    return ReplicaTelemetry(
        log_format=settings.log_format,
        log_level=settings.log_level,
        log_sink=settings.log_sink,
        log_file=str(settings.log_file.absolute()) if settings.log_file else "",
        log_syslog_host=settings.log_syslog_host,
        log_syslog_port=settings.log_syslog_port,
        log_syslog_facility=settings.log_syslog_facility,
        trace_endpoint=settings.otlp_endpoint,
        service_name=settings.service_name,
    )


def model_options(settings: Settings) -> ModelOptions:
    """Returns how a replica loads its model."""
    return ModelOptions(
        model=settings.model,
        models_folder=str(settings.models_folder.absolute()) if settings.models_folder else "",
        dtype=settings.dtype,
        offload=settings.offload,
        vae_tiling=settings.vae_tiling,
        quantization=settings.quantization,
        attention=settings.attention,
        compile=settings.compile,
        step_cache=settings.step_cache,
        parallel=settings.parallel,
        loras=settings.loras,
    )


def limits(settings: Settings) -> Limits:
    """Returns what the scheduler allows."""
    return Limits(
        queue=settings.max_queue_size,
        attempts=settings.max_attempts,
        task_seconds=settings.task_timeout,
        stall_seconds=settings.stall_timeout,
        cancel_seconds=settings.cancel_timeout,
        drain_seconds=settings.drain_seconds,
        together={WAN_FOLDER: WAN_TOGETHER},
        no_capacity=NoCapacityPolicy(settings.no_capacity),
        batch_size=_batch_size(settings),
    )


def _batch_size(settings: Settings) -> int:
    """Returns the most tasks of a batch: one where a cache would choose for all what to skip."""
    if settings.step_cache != "first_block":
        return settings.max_batch_size
    logger.info("tasks are made alone", step_cache=settings.step_cache)
    return 1


def retention(settings: Settings) -> Retention:
    """Returns how long tasks and files are kept."""
    return Retention(
        keep_count=settings.cleanup_keep_count,
        persistence=Persistence(settings.artifact_persistence_mode),
        retention_seconds=settings.artifact_retention_seconds,
        tmp_retention_seconds=settings.artifact_tmp_retention_seconds,
        interval_seconds=settings.artifact_cleanup_interval_seconds,
        max_total_bytes=settings.artifact_max_total_bytes,
        max_task_bytes=settings.artifact_max_task_bytes,
        preserve_failed_outputs=settings.artifact_preserve_failed_outputs,
        reserve_bytes=settings.artifact_reserve_bytes,
    )


def uploads(settings: Settings, root: Path) -> LocalUploads:
    """Makes the keeper of uploads."""
    return LocalUploads(root, max_bytes=settings.max_file_size, limits=_probe_limits(settings))


def inputs(settings: Settings, root: Path, uploads: LocalUploads) -> LocalMediaInputs:
    """Makes the keeper of inputs."""
    return LocalMediaInputs(
        root,
        uploads=uploads,
        allowed_roots=settings.allowed_media_roots,
        max_bytes=settings.max_file_size,
        max_inline_bytes=settings.max_inline_size,
        limits=_probe_limits(settings),
        downloads=_downloads(settings, DownloadLimits()),
    )


def submitted_images(settings: Settings) -> Downloads:
    """Makes the fetcher of images for which a caller waits a promised time."""
    return _downloads(settings, DownloadLimits(total_seconds=SUBMISSION_SECONDS))


def gpus(settings: Settings) -> GpuReader:
    """Makes the reader of the machine's GPUs."""
    if not settings.enable_gpu_metrics:
        return no_gpus
    return machine_gpus(settings.gpu_platform, max_age_seconds=settings.gpu_metrics_interval)


def enforcement(settings: Settings) -> Enforcement:
    """Returns whether values are held to the contract."""
    return Enforcement(settings.contract_enforcement)


def error_format(settings: Settings) -> ErrorFormat:
    """Returns the form of REST error bodies."""
    return ErrorFormat(settings.error_format)


def max_message_bytes(settings: Settings) -> int:
    """Returns the largest message of a call: a body with what is wrapped around it."""
    return _max_body_bytes(settings) + MEBIBYTE


def gateway_options(
    settings: Settings,
    *,
    upstream: str,
    root: Path,
    keys: tuple[ApiKey, ...],
    face: Face = Face.TASKS,
) -> GatewayOptions:
    """Returns the options of the gateway beside the server, whose limits end a call first."""
    defaults = GatewayOptions(upstream=upstream)
    return GatewayOptions(
        upstream=upstream,
        face=face,
        host=settings.host,
        port=settings.port,
        ui_port=settings.ui_port,
        artifact_root=root if face is Face.TASKS else None,
        api_keys=keys,
        rate_limit=_rate_limit(settings),
        trusted_proxies=1 if settings.trust_forwarded_for else 0,
        cors_origins=settings.cors_origins,
        otlp_endpoint=settings.otlp_endpoint,
        service_name=f"{settings.service_name}-gateway",
        access_log=settings.access_log,
        max_json_body_bytes=_max_body_bytes(settings),
        max_upload_bytes=len(FILE_FIELDS) * settings.max_file_size + MEBIBYTE,
        long_rpc_timeout_seconds=max(defaults.long_rpc_timeout_seconds, settings.task_timeout),
        stream_idle_timeout_seconds=max(
            defaults.stream_idle_timeout_seconds, settings.task_timeout + IDLE_MARGIN_SECONDS
        ),
    )


def configure_log(settings: Settings) -> None:
    """Begins to log as the settings say. Raises ConfigError."""
    target = LogTarget(
        kind=settings.log_sink,
        file=settings.log_file,
        rotation_bytes=settings.log_rotation,
        retention_seconds=settings.log_retention,
        syslog_host=settings.log_syslog_host,
        syslog_port=settings.log_syslog_port,
        syslog_facility=settings.log_syslog_facility,
    )
    try:
        configure_logging(format=settings.log_format, level=settings.log_level, target=target)
    except OSError as error:
        raise ConfigError(f"the log cannot be opened: {error.strerror}") from None


def _rate_limit(settings: Settings) -> RateLimit | None:
    if not settings.rate_limit_enabled:
        return None
    return RateLimit(
        requests_per_minute=settings.rate_limit_rpm,
        burst=settings.rate_limit_burst,
        window_seconds=settings.rate_limit_window_size,
    )


def _max_body_bytes(settings: Settings) -> int:
    """Room for the largest inline input as base64, and for the rest of a request."""
    return min(settings.max_inline_size, settings.max_file_size) * 4 // 3 + MEBIBYTE


def _downloads(settings: Settings, limits: DownloadLimits) -> Downloads:
    return Downloads(
        max_bytes=settings.max_file_size,
        allow_private=settings.url_allow_private,
        ports=None if settings.url_allow_private else (80, 443),
        verify_ssl=settings.verify_ssl,
        ssl_cert_path=settings.ssl_cert_path,
        limits=limits,
    )


def _probe_limits(settings: Settings) -> ProbeLimits:
    return ProbeLimits(max_bytes=settings.max_file_size)
