"""The composition root of a service of sessions: builds, wires, runs and closes its parts."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

import structlog

from telefuser_grpc import __version__
from telefuser_grpc.app import parts, stream_parts
from telefuser_grpc.app.front import interceptors, listen
from telefuser_grpc.app.keys import LiveKeys, key_source
from telefuser_grpc.app.running import PipelineUnusable, Running, run_app
from telefuser_grpc.config import ConfigError, Settings
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import WebRtcNotInstalled
from telefuser_grpc.gateway.descriptors import Face
from telefuser_grpc.pipeline.loader import PipelineLoadError
from telefuser_grpc.scheduler.sessions import Connect, Sessions
from telefuser_grpc.scheduler.stream_service import StreamService
from telefuser_grpc.server.interceptors.keys import KeyCheck
from telefuser_grpc.server.stream_server import StreamServer, StreamUseCases
from telefuser_grpc.telemetry.metrics import Metrics
from telefuser_grpc.webrtc.availability import load_negotiator
from telefuser_grpc.workers.streams.host import LocalStreamHost

logger = structlog.get_logger()


def serve(settings: Settings) -> int:
    """Runs the service until a signal stops it; returns the exit code."""
    return run_app(settings, lambda: SessionApp(settings).run())


class SessionApp:
    """The service of sessions as one object."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.cache_dir.absolute()
        self._pipeline = parts.pipeline_file(settings)
        self._keys = LiveKeys(key_source(settings))
        self._running = Running()

    async def run(self) -> None:
        """Serves until stopped.

        Raises:
            START_FAULTS: The service cannot start; the text says why.
        """
        await self._running.run(self._settings, self._start)

    async def _start(self, stack: AsyncExitStack) -> None:
        """Builds the parts bottom-up; the stack closes them top-down."""
        settings = self._settings
        self._root.mkdir(parents=True, exist_ok=True)
        host = stream_parts.stream_host(settings, self._pipeline)
        sessions = Sessions(host, limit=settings.webrtc_max_sessions, connect=_connect(settings))
        self._keys.ring.on_revoked(sessions.revoke)
        await listen(
            stack,
            settings,
            self._keys,
            root=self._root,
            build=lambda address, check: self._server(address, check, host, sessions),
            face=Face.SESSIONS,
        )
        await stack.enter_async_context(host)  # last: loading takes the processors from all
        await stack.enter_async_context(sessions)
        opening = asyncio.create_task(self._open(host))
        stack.callback(opening.cancel)

    def _server(
        self, address: str, check: KeyCheck | None, host: LocalStreamHost, sessions: Sessions
    ) -> StreamServer:
        settings = self._settings
        facts = stream_parts.stream_facts(settings, self._pipeline)
        metrics = _metrics(settings, host, sessions)
        return StreamServer(
            address,
            StreamUseCases(
                sessions=sessions,
                service=StreamService(facts=facts, sessions=sessions, host=host),
                metrics=metrics.render if metrics else None,
                metrics_json=metrics.as_json if metrics else None,
            ),
            max_message_bytes=parts.max_message_bytes(settings),
            interceptors=interceptors(settings, metrics),
            keys=check,
            error_format=parts.error_format(settings),
        )

    async def _open(self, host: LocalStreamHost) -> None:
        """Says when sessions can be opened, or ends the service where they never can."""
        try:
            facts = await host.until_ready()
        except PipelineLoadError as error:
            self._running.stop(PipelineUnusable(f"the pipeline cannot be loaded: {error}"))
            return
        logger.info("pipeline is loaded", mode=str(facts.mode), fps=facts.default_fps)


def _connect(settings: Settings) -> Connect | None:
    """Returns what answers WebRTC offers; None where its packages are not installed."""
    try:
        return load_negotiator(stream_parts.webrtc_options(settings)).connect
    except WebRtcNotInstalled:
        logger.warning("browsers cannot connect", remedy="pip install 'telefuser-grpc[webrtc]'")
        return None
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _metrics(settings: Settings, host: LocalStreamHost, sessions: Sessions) -> Metrics | None:
    if not settings.enable_metrics:
        return None
    return Metrics(
        version=__version__,
        counts=_no_tasks,
        replicas=lambda: [host.status()],
        sessions=sessions.counts,
        gpus=parts.gpus(settings),
    )


def _no_tasks() -> Mapping[TaskState, int]:
    return {}
