"""Loads a file that defines `get_service()`, and speaks to the service that it returns."""

import asyncio
import inspect
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import structlog

from telefuser_grpc.domain.session import (
    DEFAULT_FPS,
    ClientMessage,
    Phase,
    StreamFacts,
    StreamMode,
)
from telefuser_grpc.pipeline.failure import public_message, told_of_file
from telefuser_grpc.pipeline.loader import PipelineLoadError, import_file
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.stream_facts import device_peaks, environment
from telefuser_grpc.pipeline.stream_loop import StreamLoop
from telefuser_grpc.pipeline.stream_media import told_to_pipeline

NO_SERVICE = "Stream pipeline file must define get_service(), which returns the service"
FOR_TASKS = "; it defines get_pipeline: serve it with `telefuser serve`"
BOTH = ("start", "stop")
SERVER_PUSH = ("serve",)
BIDIRECTIONAL = ("create_session", "push_chunk", "pull_chunks", "close_session")
PLAIN = ModelOptions()

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamService:
    """A service that has started. Its methods may be plain ones or coroutines.

    Attributes:
        home: The event loop of `start` and `stop`; what `start` leaves running there runs on.
    """

    module: ModuleType
    service: Any
    facts: StreamFacts
    home: StreamLoop

    def create(self, config: Mapping[str, Any], loop: StreamLoop) -> object:
        """Begins a session and returns its id; raises what the pipeline raises."""
        return loop.call(self.service.create_session, dict(config))

    def push(self, session_id: object, message: ClientMessage, loop: StreamLoop) -> None:
        """Hands over what a client says; raises what the pipeline raises."""
        for told in told_to_pipeline(message):
            loop.call(self.service.push_chunk, session_id, told)

    def pull(self, session_id: object) -> Any:
        """Returns the chunks of a session, or what gives them when it is awaited."""
        return self.service.pull_chunks(session_id)

    def serve(self, request: Mapping[str, Any]) -> Any:
        """Returns the chunks for a request, or what gives them when it is awaited."""
        return self.service.serve(dict(request))

    def close(self, session_id: object, loop: StreamLoop) -> None:
        """Ends a session; what the pipeline raises is only logged."""
        try:
            loop.call(self.service.close_session, session_id)
        except Exception:  # the session is over all the same
            logger.exception("session did not close cleanly", session_id=session_id)

    def stop(self) -> None:
        """Stops the service and forgets its file."""
        try:
            self.home.call(self.service.stop)
        except Exception as error:  # the process is leaving anyway
            logger.warning("stream service did not stop cleanly", error=public_message(error))
        finally:
            self.home.close()
            sys.modules.pop(self.module.__name__, None)


def load_stream(
    path: Path, *, gpu_num: int, options: ModelOptions = PLAIN, media_roots: Sequence[str] = ()
) -> StreamService:
    """Loads a file and starts its service.

    `get_service` is given `gpu_num`, `options` and `media_roots` where it names them, and with
    `**kwargs` the first alone. Blocks until the service has started.

    Args:
        media_roots: Folders below which clients may name files.

    Raises:
        PipelineLoadError
    """
    begun = time.monotonic()
    module = import_file(path)
    home = StreamLoop("home")
    try:
        wanted = {"gpu_num": gpu_num, "options": options, "media_roots": media_roots}
        service = _build(module, wanted, home)
        mode = _mode_of(service)
        fps = _default_fps(service)
        home.call(service.start)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        home.close()
        sys.modules.pop(module.__name__, None)
        if isinstance(error, PipelineLoadError):
            raise
        raise PipelineLoadError(told_of_file(error, path)) from error
    phase = Phase(name="pipeline_init", seconds=time.monotonic() - begun, memory=device_peaks())
    facts = StreamFacts(mode=mode, default_fps=fps, phases=(phase,), environment=environment())
    return StreamService(module=module, service=service, facts=facts, home=home)


def _build(module: ModuleType, wanted: Mapping[str, Any], home: StreamLoop) -> Any:
    build = getattr(module, "get_service", None)
    if not callable(build):
        is_for_tasks = callable(getattr(module, "get_pipeline", None))
        raise PipelineLoadError(NO_SERVICE + (FOR_TASKS if is_for_tasks else ""))
    return home.call(build, **_understood(build, wanted))


def _understood(build: Callable[..., Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those arguments that `get_service` takes. Raises PipelineLoadError: it needs more."""
    parameters = inspect.signature(build).parameters
    strange = [name for name, each in parameters.items() if _is_needed(each) and name not in wanted]
    if strange:
        raise PipelineLoadError(
            f"get_service needs {', '.join(strange)}, which nothing gives: it may take "
            f"{' and '.join(wanted)}; give others a default"
        )
    understood = {name: value for name, value in wanted.items() if name in parameters}
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        understood["gpu_num"] = wanted["gpu_num"]
    return understood


def _is_needed(parameter: inspect.Parameter) -> bool:
    is_rest = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not is_rest


def _mode_of(service: object) -> StreamMode:
    if not _missing(service, (*BOTH, *BIDIRECTIONAL)):
        return StreamMode.BIDIRECTIONAL
    if not _missing(service, (*BOTH, *SERVER_PUSH)):
        return StreamMode.SERVER_PUSH
    is_almost_bidirectional = len(_missing(service, BIDIRECTIONAL)) < len(BIDIRECTIONAL)
    wanted = BIDIRECTIONAL if is_almost_bidirectional else SERVER_PUSH
    missing = ", ".join(_missing(service, (*BOTH, *wanted)))
    raise PipelineLoadError(
        f"get_service() returned a {type(service).__name__} without {missing}: a server-push "
        f"service has {', '.join((*BOTH, *SERVER_PUSH))}, a bidirectional one "
        f"{', '.join((*BOTH, *BIDIRECTIONAL))}"
    )


def _missing(service: object, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if not callable(getattr(service, name, None))]


def _default_fps(service: object) -> float:
    declared = getattr(service, "default_fps", None)
    if declared is None:
        return DEFAULT_FPS
    try:
        fps = float(declared)
    except (TypeError, ValueError):
        fps = math.nan
    if not (fps > 0 and math.isfinite(fps)):
        raise PipelineLoadError("default_fps of the service must be a number greater than 0")
    return fps
