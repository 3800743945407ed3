"""The documented way to serve from a program, with or without the OpenAI paths."""

from pathlib import Path
from typing import Any

from telefuser_grpc.app import serve
from telefuser_grpc.config import Settings, load_settings, served_file
from telefuser_grpc.validator import Level, check_before_serving


class ApiServer:
    """The service as an object; `run` serves until a signal stops it.

    Args:
        pipe_path: The pipeline file; without one a small embedded model is served.
        enable_openai_api: Whether the OpenAI paths are served; without it the setting decides,
            which is on by default.
        settings: Others, by the names of `telefuser config`: `port=8001`.
    """

    def __init__(
        self,
        pipe_path: str | Path | None = None,
        *,
        enable_openai_api: bool | None = None,
        **settings: Any,
    ) -> None:
        self._explicit = {
            **settings,
            "pipe_path": pipe_path,
            "enable_openai_api": enable_openai_api,
        }

    @property
    def settings(self) -> Settings:
        """What would be served now. Raises ConfigError."""
        return load_settings(**self._explicit)

    @property
    def enable_openai_api(self) -> bool:
        """Tells whether the OpenAI paths are served. Raises ConfigError."""
        return self.settings.enable_openai_api

    def run(self) -> int:
        """Checks the pipeline file as `telefuser serve` does, serves, and returns the exit code.

        Raises:
            ConfigError: The settings make no sense.
            UnsafePipeline: The pipeline file does what it must not.
        """
        settings = self.settings
        check_before_serving(
            served_file(settings.pipe_path),
            level=Level(settings.security_level.lower()),
            max_bytes=settings.max_ppl_size,
            allow_unsafe=settings.allow_unsafe,
            strict_validation=settings.strict_validation,
        )
        return serve(settings)
