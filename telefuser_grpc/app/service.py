"""The composition root of a service of tasks: builds, wires, runs and closes its parts."""

import asyncio
from contextlib import AsyncExitStack

import structlog

from telefuser_grpc.app import parts
from telefuser_grpc.app.core import Core, build_core, use_cases
from telefuser_grpc.app.front import interceptors, listen
from telefuser_grpc.app.keys import LiveKeys, key_source
from telefuser_grpc.app.running import PipelineUnusable, Running, run_app
from telefuser_grpc.config import Settings
from telefuser_grpc.errors import NoCapacity
from telefuser_grpc.server.interceptors.keys import KeyCheck
from telefuser_grpc.server.links import Links
from telefuser_grpc.server.server import Server
from telefuser_grpc.telemetry.startup import startup_summaries

logger = structlog.get_logger()


def serve(settings: Settings) -> int:
    """Runs the service until a signal stops it; returns the exit code."""
    return run_app(settings, lambda: App(settings).run())


class App:
    """The service as one object."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.cache_dir.absolute()
        self._pipeline = parts.pipeline_file(settings)
        self._keys = LiveKeys(key_source(settings))
        self._facts = parts.facts(settings, self._pipeline)
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
        core = await build_core(stack, settings, root=self._root, pipeline=self._pipeline)
        await listen(
            stack,
            settings,
            self._keys,
            root=self._root,
            build=lambda address, check: self._server(core, address, check),
        )
        await stack.enter_async_context(core.janitor)
        await asyncio.to_thread(core.memory.begin)
        await stack.enter_async_context(core.pool)  # last: loading takes the processors from all
        stack.push_async_callback(core.scheduler.drain)  # while callers can still watch and read
        opening = asyncio.create_task(self._open(core))
        stack.callback(opening.cancel)

    def _server(self, core: Core, address: str, check: KeyCheck | None) -> Server:
        settings = self._settings
        return Server(
            address,
            use_cases(
                core, settings, facts=self._facts, root=self._root, has_keys=check is not None
            ),
            max_message_bytes=parts.max_message_bytes(settings),
            interceptors=interceptors(settings, core.metrics),
            keys=check,
            error_format=parts.error_format(settings),
            links=Links(settings.public_base_url or ""),
            serves_openai=settings.enable_openai_api,
            kept_seconds=settings.artifact_retention_seconds,
        )

    async def _open(self, core: Core) -> None:
        """Begins to admit and to run tasks once the pipeline is loaded."""
        try:
            contract = await core.pool.contract()
        except NoCapacity:
            why = f"the pipeline cannot be loaded: {core.pool.start_failure}"
            self._running.stop(PipelineUnusable(why))
            return
        core.admission.open(contract)
        core.scheduler.open()
        for line in startup_summaries(contract, self._facts):
            logger.info(line)
        logger.info("pipeline is loaded", name=contract.pipeline_name, tasks=list(contract.tasks))
