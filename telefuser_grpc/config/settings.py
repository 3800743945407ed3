"""What the service can be told, by subject; `names.py` says under which names."""

from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    field_validator,
    model_validator,
)

from telefuser_grpc.config.values import (
    ApiKeys,
    BaseUrl,
    Bytes,
    Dtype,
    Enforcement,
    ErrorFormat,
    Facility,
    GpuPlatform,
    LogFormat,
    LogLevel,
    LogSink,
    NoCapacity,
    Offload,
    Parallel,
    Paths,
    Persistence,
    Quantization,
    Seconds,
    SecurityLevel,
    StepCache,
    VideoCodec,
    Word,
    Words,
)

KIBIBYTE, MEBIBYTE, GIBIBYTE = 2**10, 2**20, 2**30
DAY = 86400


class _Pipeline(BaseModel):
    pipe_path: Path | None = Field(None, description="Pipeline file; none serves the embedded one")
    task: Word | None = Field(None, description="Kind of task, for a file without a contract")
    parallelism: int | None = Field(None, ge=1, description="Devices in all; one per replica")
    num_replicas: int = Field(1, ge=1, le=16, description="Replicas that share the devices")
    start_timeout: float = Field(300.0, gt=0, description="Seconds to load the pipeline")
    replica_timeout: float = Field(
        60.0, ge=0, description="Seconds of a silent replica before it is replaced; 0: for ever"
    )
    max_tasks_per_replica: int = Field(
        0, ge=0, description="Tasks after which a replica is replaced; 0: never"
    )
    replica_max_rss_bytes: int = Field(
        0, ge=0, description="Memory above which a replica is replaced; 0: never"
    )
    warmup: bool = Field(False, description="Whether a run with defaults comes before the first")
    preview_interval: float = Field(1.0, ge=0, description="Seconds between previews; 0: all")


class _Model(BaseModel):
    model: str = Field("", description="Model directory or hub id in place of the pipeline's own")
    models_folder: Path | None = Field(None, description="Folder of models, each under its hub id")
    dtype: Dtype = Field("auto", description="Precision of the weights; auto: as the device")
    offload: Offload = Field("none", description="Which weights wait in main memory")
    vae_tiling: bool = Field(False, description="Whether results are decoded in tiles")
    quantization: Quantization = Field("none", description="Form of the denoiser's weights")
    attention: str = Field("", description="Attention backend of diffusers; none: torch's own")
    compile: bool = Field(False, description="Whether the denoiser is compiled")
    max_batch_size: int = Field(
        0, ge=0, le=64, description="Tasks made together at most; 1: none, 0: as the contract says"
    )
    step_cache: StepCache = Field("none", description="How similar steps share work")
    parallel: Parallel = Field("spread", description="How the devices of a replica share a model")
    loras: Words = Field((), description="Adapters to merge: place or place:weight")


class _Network(BaseModel):
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    ui_port: int | None = Field(
        None, ge=1, le=65535, description="Further port, where / is the page that makes videos"
    )
    gateway: bool = Field(True, description="Whether Envoy runs beside the server")
    public_base_url: BaseUrl | None = Field(None, description="Address that links in answers have")
    cors_origins: Words = Field((), description="Origins that browsers may call from")
    enable_openai_api: bool = Field(True, description="Whether the OpenAI paths are served")
    error_format: ErrorFormat = Field("documented", description="Form of REST error bodies")


class _Callers(BaseModel):
    api_keys: ApiKeys | None = Field(None, description="Who may call: name:key, name:key")
    api_keys_file: FilePath | None = Field(None, description="More of them, a line name: key each")
    trust_gateway: bool = Field(False, description="Whether a gateway elsewhere names the callers")


class _RateLimit(BaseModel):
    rate_limit_enabled: bool = Field(True, description="Whether callers are slowed down")
    rate_limit_rpm: int = Field(60, ge=10, le=10_000, description="Requests of a caller per window")
    rate_limit_burst: int = Field(10, ge=0, le=10_000, description="Requests on top, at once")
    rate_limit_window_size: int = Field(60, ge=10, le=3600, description="Seconds of a window")
    trust_forwarded_for: bool = Field(False, description="Whether a proxy names the callers")


class _Tasks(BaseModel):
    max_queue_size: int = Field(10, ge=1, le=100_000, description="Tasks that wait and run")
    max_concurrent_tasks: int = Field(10, ge=1, description="Only reported; replicas decide")
    task_timeout: float = Field(3600.0, gt=0, description="Seconds that a run may take")
    stall_timeout: float = Field(60.0, gt=0, description="Seconds of silence between two steps")
    cancel_timeout: float = Field(5.0, ge=0, le=30, description="Seconds to stop before the kill")
    drain_seconds: float = Field(5.0, ge=0, description="Seconds for running tasks at the stop")
    max_attempts: int = Field(2, ge=1, description="Tries of a task whose process dies")
    no_capacity: NoCapacity = Field("fail", description="Fate of tasks when all replicas are dead")
    contract_enforcement: Enforcement = Field("strict", description="Whether values are checked")


class _Inputs(BaseModel):
    max_file_size: int = Field(
        100 * MEBIBYTE, ge=KIBIBYTE, le=GIBIBYTE, description="Bytes of an input"
    )
    max_inline_size: int = Field(
        32 * MEBIBYTE, ge=KIBIBYTE, le=GIBIBYTE, description="Bytes of inputs inside a request"
    )
    allowed_media_roots: Paths = Field((), description="Folders of path inputs")
    url_allow_private: bool = Field(False, description="Whether inputs come from private networks")
    verify_ssl: bool = Field(True, description="Whether the certificates of inputs are checked")
    ssl_cert_path: FilePath | None = Field(None, description="Certificates to trust besides")


class _Sessions(BaseModel):
    webrtc_max_sessions: int = Field(10, ge=1, le=100, description="Sessions that are open at once")
    webrtc_video_codec: VideoCodec = Field("H264", description="Codec that is offered first")
    webrtc_video_bitrate: int = Field(
        8_000_000, ge=500_000, le=50_000_000, description="Bits per second of a session's video"
    )
    webrtc_video_buffer_seconds: float = Field(
        1.0, ge=0.1, le=10, description="Seconds of video that wait; older frames are dropped"
    )
    webrtc_data_channel_timeout_seconds: float = Field(
        10.0, gt=0, le=120, description="Seconds for a client to open its data channel"
    )
    webrtc_disconnected_grace_seconds: float = Field(
        5.0, ge=0, le=120, description="Seconds for a lost connection to come back"
    )
    stun_servers: Words = Field(
        ("stun:stun.l.google.com:19302",), description="Servers that tell our public address"
    )
    turn_server: str | None = Field(None, description="Server that relays media where nothing else")
    turn_username: str | None = Field(None, description="Name at the relay")
    turn_credential: SecretStr | None = Field(None, description="Password at the relay")


class _Storage(BaseModel):
    cache_dir: Path = Field(Path("work_dirs/server_cache"), description="Tasks and their files")
    cleanup_keep_count: int = Field(
        1000, ge=100, le=10_000, description="Ended tasks that are kept at most"
    )
    artifact_storage_backend: Literal["local"] = Field("local", description="Where files are kept")
    artifact_persistence_mode: Persistence = Field(
        "persistent", description="ephemeral: files go with the next cleaning"
    )
    artifact_retention_seconds: int = Field(
        7 * DAY, ge=0, description="Seconds that files stay; 0: for ever"
    )
    artifact_tmp_retention_seconds: int = Field(
        3600, ge=0, description="Seconds that unfinished files stay; 0: for ever"
    )
    artifact_cleanup_interval_seconds: int = Field(
        3600, ge=60, description="Seconds between two cleanings"
    )
    artifact_max_total_bytes: int = Field(0, ge=0, description="Bytes of all files; 0: no limit")
    artifact_max_task_bytes: int = Field(0, ge=0, description="Bytes of one task; 0: no limit")
    artifact_reserve_bytes: int = Field(
        0, ge=0, description="Bytes that stay free on the disk; 0: no reserve"
    )
    artifact_preserve_failed_outputs: bool = Field(
        False, description="Whether files of failed tasks stay"
    )

    @field_validator("artifact_storage_backend", mode="before")
    @classmethod
    def _only_local(cls, value: Any) -> Any:
        if isinstance(value, str) and value.lower() == "local":
            return "local"
        raise ValueError(f"{value!r} is not available; files are kept on a local disk: use 'local'")


class _Security(BaseModel):
    security_level: SecurityLevel = Field("STRICT", description="How a pipeline file is checked")
    allow_unsafe: bool = Field(False, description="Whether all but critical findings are let pass")
    strict_validation: bool = Field(True, description="Whether a check that breaks refuses too")
    max_ppl_size: int = Field(
        10 * MEBIBYTE, ge=KIBIBYTE, le=10 * MEBIBYTE, description="Bytes of a pipeline file"
    )


class _Telemetry(BaseModel):
    log_level: LogLevel = Field("INFO", description="Least level that is logged")
    log_format: LogFormat = Field("console", description="Form of a log line")
    log_sink: LogSink = Field("console", description="Where lines go; both: console and file")
    log_file: Path | None = Field(None, description="File of the log lines")
    log_rotation: Bytes = Field(
        100_000_000, ge=0, description="Size at which a log file is put aside; 0: never"
    )
    log_retention: Seconds = Field(30 * DAY, gt=0, description="How long such files are kept")
    log_syslog_host: str = Field("localhost", description="Host of the syslog server")
    log_syslog_port: int = Field(514, ge=1, le=65535, description="Its UDP port")
    log_syslog_facility: Facility = Field("user", description="Its facility")
    access_log: bool = Field(True, description="Whether Envoy writes a line per request")
    enable_metrics: bool = Field(True, description="Whether metrics are collected")
    enable_stage_metrics: bool = Field(True, description="Whether stages of a run are timed")
    enable_gpu_metrics: bool = Field(True, description="Whether GPUs are asked")
    gpu_metrics_interval: float = Field(5.0, ge=1, le=60, description="Seconds between that")
    gpu_platform: GpuPlatform = Field("auto", description="Maker of the GPUs")
    otlp_endpoint: str | None = Field(None, description="Collector of traces, host:port")
    service_name: str = Field("telefuser", description="Name in traces")

    @model_validator(mode="after")
    def _file_is_named(self) -> "_Telemetry":
        if self.log_sink in ("file", "both") and self.log_file is None:
            raise ValueError(f"TELEFUSER_LOG_SINK={self.log_sink} needs TELEFUSER_LOG_FILE")
        return self


class Settings(
    _Telemetry,
    _Security,
    _Storage,
    _Sessions,
    _Inputs,
    _Tasks,
    _RateLimit,
    _Callers,
    _Network,
    _Model,
    _Pipeline,
):  # pydantic takes the fields of the last base first
    """What the service can be told; the values are checked, and fixed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def device_count(self) -> int:
        """Devices of all replicas together."""
        return self.parallelism or self.num_replicas
