"""Keeps the stream process alive, and finds the sessions of it by their ids."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import structlog

from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.session import Chunk, ClientMessage, StreamFacts
from telefuser_grpc.errors import SessionConflict, SessionFailed, StreamNotRunning
from telefuser_grpc.pipeline.loader import PipelineLoadError
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.workers.channel import MSGPACK, ServerChannel
from telefuser_grpc.workers.process import (
    ReplicaProcess,
    empty_folder,
    replica_environment,
    temporary_folder,
)
from telefuser_grpc.workers.seat import FIRST_PAUSE_SECONDS, LOAD_ATTEMPTS, LONGEST_PAUSE_SECONDS
from telefuser_grpc.workers.streams.link import StreamLink
from telefuser_grpc.workers.streams.messages import FromProcess, FromServer, Load
from telefuser_grpc.workers.streams.session import LocalSession

COMMAND = (sys.executable, "-P", "-m", "telefuser_grpc.stream_replica")
PLAIN = ModelOptions()

logger = structlog.get_logger()


class LocalStreamHost:
    """Implements the port `StreamHost` with a process of this machine.

    A process that dies is replaced, later and later if that is of no use. Only one that could
    never be loaded is given up.

    Args:
        file: Defines `get_service()`.
        devices: What the process may see; empty on the CPU.
        gpu_num: What `get_service` is told of that.
        options: How the file is to load its model; `get_service` is told where it asks.
        media_roots: Folders below which clients may name files; likewise.
        start_timeout_seconds: How long the file may take to load.
        stop_grace_seconds: How long sessions and service may take to stop before a kill.
        temporary: A folder of this host alone for the process's temporary files, emptied when it
            opens.
        silence_seconds: How long the process may give no sign of life before a kill; 0 waits for
            ever.
    """

    def __init__(
        self,
        file: Path,
        *,
        devices: Sequence[str],
        gpu_num: int,
        start_timeout_seconds: float,
        stop_grace_seconds: float,
        options: ModelOptions = PLAIN,
        media_roots: Sequence[Path] = (),
        temporary: Path | None = None,
        silence_seconds: float = 60.0,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._load = Load(
            file=str(file),
            gpu_num=gpu_num,
            options=options,
            media_roots=tuple(map(str, media_roots)),
        )
        self._devices = tuple(devices)
        self._start_timeout_seconds = start_timeout_seconds
        self._stop_grace_seconds = stop_grace_seconds
        self._temporary = temporary
        self._silence_seconds = silence_seconds
        self._command = command
        self._link: StreamLink | None = None
        self._sessions: dict[str, LocalSession] = {}
        self._served: set[str] = set()
        self._watchers: set[asyncio.Event] = set()
        self._closing = asyncio.Event()
        self._starts = 0
        self._has_loaded = False
        self._has_given_up = False
        self._last_error = ""
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> "LocalStreamHost":
        if self._temporary is not None:
            await asyncio.to_thread(empty_folder, self._temporary)
        await self._group.__aenter__()
        self._group.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        if self._link is not None:
            self._link.leave(self._stop_grace_seconds)
        await self._group.__aexit__(None, None, None)

    async def until_ready(self) -> StreamFacts:
        """Waits until the file is loaded. Raises PipelineLoadError when it never will be."""
        async with aclosing(self.changes()) as changes:
            async for _ in changes:
                if self._has_given_up:
                    break
                if self._link is not None and self._link.is_ready:
                    return self.facts
        raise PipelineLoadError(self.start_failure)

    @property
    def start_failure(self) -> str:
        """Says why the file cannot be loaded, "" while it may be."""
        return self._last_error if self._has_given_up else ""

    @property
    def facts(self) -> StreamFacts:
        """What was loaded. Raises StreamNotRunning."""
        facts = self._ready_link().facts
        assert facts is not None, "a ready one has loaded"
        return facts

    def status(self) -> ReplicaStatus:
        """Returns what is known of the process."""
        link, state = self._link, self._state()
        return ReplicaStatus(
            id=0,
            state=state,
            devices=self._devices,
            task_ids=(*self._sessions, *self._served),
            restarts=max(0, self._starts - 1),
            pid=link.pid if link is not None and state is not ReplicaState.DEAD else 0,
            last_error=self._last_error,
        )

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yields now and after every change of the status; a slow reader skips some."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            while True:
                yield
                await changed.wait()
                changed.clear()
        finally:
            self._watchers.discard(changed)

    async def create(self, config: Mapping[str, Any]) -> str:
        """Begins a session and returns its id. See the port for what it raises."""
        session = self._ready_link().session()
        session_id = await session.create(config)
        if session_id in self._sessions:  # of a process that has died, and is not let go yet
            session.leave()
            raise SessionConflict(f"session {session_id} is open already")
        self._sessions[session_id] = session
        return session_id

    async def push(self, session_id: str, message: ClientMessage) -> None:
        """Hands a message to the pipeline, in order; an ended session ignores it."""
        if session := self._sessions.get(session_id):
            await session.push(message)

    async def pull(self, session_id: str) -> AsyncGenerator[Chunk, None]:
        """Yields the chunks of a session that was created, once. Raises SessionFailed."""
        session = self._sessions.get(session_id)
        if session is None:
            raise SessionFailed(f"Session {session_id} is not open")
        async with aclosing(session.pull()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def serve(
        self, session_id: str, request: Mapping[str, Any]
    ) -> AsyncGenerator[Chunk, None]:
        """Yields the chunks for a request; its end stops the pipeline before its next chunk."""
        session = self._ready_link().session()
        self._served.add(session_id)
        try:
            async with aclosing(session.serve(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self._served.discard(session_id)

    async def close(self, session_id: str) -> None:
        """Ends a session that was created, and waits for that; an unknown one is no error."""
        if session := self._sessions.get(session_id):
            await session.close()
            if self._sessions.get(session_id) is session:
                del self._sessions[session_id]

    def _ready_link(self) -> StreamLink:
        if self._link is None or not self._link.is_ready:
            raise StreamNotRunning
        return self._link

    def _state(self) -> ReplicaState:
        link = self._link
        if self._starts == 0:
            return ReplicaState.STARTING
        if link is None or link.death:
            return ReplicaState.DEAD
        if link.facts is None:
            return ReplicaState.STARTING
        return ReplicaState.BUSY if link.is_busy else ReplicaState.IDLE

    async def _keep(self) -> None:
        """Starts a process, and another one after each death, until the end of the host."""
        failures = 0
        while not self._closing.is_set():
            self._link = link = await self._live_once()
            if self._closing.is_set():
                break
            failures += 1
            self._note_death(link)
            if not self._has_loaded and (failures == LOAD_ATTEMPTS or (link and link.refusal)):
                self._has_given_up = True
                self._change()
                break
            await self._pause()

    async def _live_once(self) -> StreamLink | None:
        """Starts a process and returns it when it is dead; None when it could not be started."""
        self._starts += 1
        try:
            async with temporary_folder(self._temporary) as folder:
                environment = replica_environment(os.environ, self._devices, temporary=folder)
                process = await ReplicaProcess.spawn(self._command, environment, connect=_connect)
                return await self._live(process)
        except OSError as error:
            self._last_error = f"The stream process cannot be started: {error.strerror}"
            return None

    async def _live(self, process: ReplicaProcess[FromServer, FromProcess]) -> StreamLink:
        link = self._link = StreamLink(
            process, on_change=self._change, silence_seconds=self._silence_seconds
        )
        logger.info("stream process started", pid=link.pid)
        self._change()
        if self._closing.is_set():
            link.leave(0)
        await link.live(self._load, start_timeout_seconds=self._start_timeout_seconds)
        return link

    def _note_death(self, link: StreamLink | None) -> None:
        if link is not None:
            self._last_error = link.death
            if link.was_of_use:
                self._pause_seconds = FIRST_PAUSE_SECONDS
        logger.warning("stream process died", why=self._last_error)
        self._change()

    async def _pause(self) -> None:
        """Waits before the next start, longer each time unless the process was of use."""
        pause = self._pause_seconds
        self._pause_seconds = min(2 * pause, LONGEST_PAUSE_SECONDS)
        try:
            async with asyncio.timeout(pause):
                await self._closing.wait()
        except TimeoutError:
            return

    def _change(self) -> None:
        if self._link is not None and self._link.is_ready:
            self._has_loaded = True
        for changed in self._watchers:
            changed.set()


async def _connect(end: socket.socket) -> ServerChannel[FromServer, FromProcess]:
    return await ServerChannel.open(end, FromProcess, MSGPACK)
