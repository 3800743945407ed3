"""Settings, read once: an explicit flag wins over the environment, that over `.env`."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "TELEFUSER_"


class ConfigError(Exception):
    """A setting that makes no sense; the message names it and the remedy."""


class Settings(BaseSettings):
    """What the service can be told. Each field is also `TELEFUSER_<NAME>` in the environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True
    )

    pipe_path: Path | None = Field(None, description="Pipeline file; none serves the embedded one")
    task: str | None = Field(None, description="Kind of task, for a file without a contract")
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    gateway: bool = Field(True, description="Whether Envoy runs beside the server")
    cache_dir: Path = Field(Path("work_dirs/server_cache"), description="Tasks and their files")
    parallelism: int | None = Field(None, ge=1, description="Devices in all; one per replica")
    num_replicas: int = Field(1, ge=1, le=16, description="Replicas that share the devices")
    max_queue_size: int = Field(10, ge=1, le=100_000, description="Tasks that wait and run")
    task_timeout: float = Field(3600.0, gt=0, description="Seconds that a run may take")
    stall_timeout: float = Field(60.0, gt=0, description="Seconds of silence between two steps")
    cancel_timeout: float = Field(5.0, ge=0, description="Seconds to stop before the kill")
    drain_seconds: float = Field(5.0, ge=0, description="Seconds for running tasks at the stop")
    max_attempts: int = Field(2, ge=1, description="Tries of a task whose process dies")
    start_timeout: float = Field(300.0, gt=0, description="Seconds to load the pipeline")
    preview_interval: float = Field(1.0, ge=0, description="Seconds between previews; 0: all")
    max_file_size: int = Field(100 * 2**20, ge=2**10, description="Bytes of an input")
    allowed_media_roots: tuple[Path, ...] = Field((), description="Folders of path inputs")
    log_level: str = Field("INFO", description="Least level that is logged")
    log_format: Literal["console", "json"] = Field("console", description="Form of a log line")
    access_log: bool = Field(False, description="Whether Envoy writes a line per request")
    cors_origins: tuple[str, ...] = Field((), description="Origins that browsers may call from")
    otlp_endpoint: str | None = Field(None, description="Collector of traces, host:port")
    service_name: str = Field("telefuser", description="Name in traces")

    @property
    def device_count(self) -> int:
        """Devices of all replicas together."""
        return self.parallelism or self.num_replicas


def load_settings(**explicit: Any) -> Settings:
    """Reads the settings; None among the explicit ones means not given.

    Raises:
        ConfigError
    """
    given = {name: value for name, value in explicit.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        lines = [
            f"{PREFIX}{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}"
            for each in error.errors()
        ]
        raise ConfigError("; ".join(lines)) from None


def embedded_pipeline() -> Path:
    """Returns the pipeline file that is served when none is named."""
    package = Path(__file__).parent
    folders = (package / "_pipelines", package.parent / "pipelines")
    return next(f for f in folders if f.is_dir()) / "moving_shapes.py"
