"""What `serve` and `stream-serve` do with their options: read settings, check the file, run."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import structlog
import typer

from telefuser_grpc.cli.output import fail
from telefuser_grpc.config import ConfigError, Loaded, Settings, load, not_found, served_file
from telefuser_grpc.telemetry.logging import configure_logging
from telefuser_grpc.validator import (
    Level,
    UnsafePipeline,
    check_before_serving,
    text_report,
    validate_file,
)

logger = structlog.get_logger()


def start(
    explicit: Mapping[str, Any],
    *,
    skip_validation: bool,
    ineffective: Sequence[str] = (),
    serves: str = "service",
    defaults: Mapping[str, Any] | None = None,
) -> NoReturn:
    """Runs a service, and ends the command with its code.

    Args:
        explicit: The settings that options give; None is not given.
        ineffective: The options that were given and do nothing.
        serves: The module of `telefuser_grpc.app` that runs it.
        defaults: The settings of this command where nobody gives them.
    """
    loaded = _load(explicit, defaults)
    settings = loaded.settings
    if skip_validation:  # the metadata says what was done, not what was meant
        settings = settings.model_copy(update={"security_level": "NONE"})
    configure_logging(format=settings.log_format, level=settings.log_level)
    for warning in (*(f"{each} has no effect here" for each in ineffective), *loaded.warnings):
        logger.warning(warning)
    path = _pipeline_file(settings)
    with ThreadPoolExecutor(1) as thread:  # the check is a process of its own: import meanwhile
        check = None if skip_validation else thread.submit(_check, path, settings)
        app = importlib.import_module(f"telefuser_grpc.app.{serves}")
        if check:
            check.result()
    raise typer.Exit(app.serve(settings))


def report(explicit: Mapping[str, Any]) -> NoReturn:
    """Prints what the pipeline file is found to do, and ends the command with the verdict."""
    settings = _load(explicit).settings
    found = validate_file(
        _pipeline_file(settings), level=_level(settings), max_bytes=settings.max_ppl_size
    )
    print(text_report(found))
    raise typer.Exit(0 if found.is_safe else 1)


def _load(explicit: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Loaded:
    try:
        return load(explicit, defaults=defaults)
    except ConfigError as error:
        fail(str(error))


def _pipeline_file(settings: Settings) -> Path:
    path = served_file(settings.pipe_path)
    if not path.is_file():
        fail(not_found(path))
    return path


def _level(settings: Settings) -> Level:
    return Level(settings.security_level.lower())


def _check(path: Path, settings: Settings) -> None:
    try:
        check_before_serving(
            path,
            level=_level(settings),
            max_bytes=settings.max_ppl_size,
            allow_unsafe=settings.allow_unsafe,
            strict_validation=settings.strict_validation,
        )
    except UnsafePipeline as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
