"""One stream process as the server sees it, from its start to its death."""

import asyncio
import itertools
from collections.abc import Callable

import structlog

from telefuser_grpc.domain.session import StreamFacts
from telefuser_grpc.errors import SessionFailed, StreamNotRunning
from telefuser_grpc.workers.channel import ProtocolError
from telefuser_grpc.workers.process import ReplicaProcess
from telefuser_grpc.workers.pulse import Pulse
from telefuser_grpc.workers.streams.messages import (
    AboutSession,
    FromProcess,
    FromServer,
    Load,
    Loaded,
    LoadFailed,
    Ping,
    Pong,
    Shutdown,
)
from telefuser_grpc.workers.streams.session import LocalSession

StreamProcess = ReplicaProcess[FromServer, FromProcess]
logger = structlog.get_logger()


class StreamLink:
    """A process and its sessions; one that has died stays dead.

    Attributes:
        facts: What was loaded, once it is.
        is_leaving: Whether it takes no further session.
        was_of_use: Whether it ever had a session.
        refusal: Why it can never be loaded as it is, "" where a second try may help.
        death: Why it died, "" while it lives.
    """

    def __init__(
        self, process: StreamProcess, *, on_change: Callable[[], None], silence_seconds: float
    ) -> None:
        self.facts: StreamFacts | None = None
        self.is_leaving = False
        self.was_of_use = False
        self.refusal = ""
        self.death = ""
        self._process = process
        self._channel = process.channel
        self._on_change = on_change
        self._numbers = itertools.count(1)
        self._sessions: dict[int, LocalSession] = {}
        self._pulse = Pulse(
            ask=lambda: self._channel.send(Ping()),
            on_silence=lambda: self._kill(f"did not answer for {silence_seconds:g} s"),
            silence_seconds=silence_seconds,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Tells whether it takes sessions."""
        return self.facts is not None and not self.is_leaving and not self.death

    @property
    def is_busy(self) -> bool:
        """Tells whether it has sessions."""
        return bool(self._sessions)

    async def live(self, load: Load, *, start_timeout_seconds: float) -> None:
        """Loads the file and takes frames until the process is gone."""
        self._channel.send(load)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(start_timeout_seconds, self._expire, start_timeout_seconds)
        try:
            await self._process.until_gone(asyncio.create_task(self._read()))
        finally:
            timer.cancel()
            self._pulse.stop()
            self._bury()

    def session(self) -> LocalSession:
        """Returns a session to be. Raises StreamNotRunning."""
        if not self.is_ready:
            raise StreamNotRunning
        number = next(self._numbers)
        session = self._sessions[number] = LocalSession(
            number, send=self._channel.send, on_over=lambda: self._forget(number)
        )
        self.was_of_use = True
        self._on_change()
        return session

    def leave(self, grace_seconds: float) -> None:
        """Lets the process close all and exit; kills it after the grace or if it loads."""
        if self.death:
            return
        is_loading = self.facts is None
        self.is_leaving = True
        if is_loading:
            self._process.kill()
            return
        self._channel.send(Shutdown())
        asyncio.get_running_loop().call_later(grace_seconds, self._kill, "did not stop in time")

    def _kill(self, why: str) -> None:
        if self.death:
            return
        self.death = f"The stream process {why}"
        logger.error("stream process killed", pid=self.pid, why=why)
        self._process.kill()

    def _expire(self, timeout_seconds: float) -> None:
        if self.facts is None:
            self._kill(f"did not load its file within {timeout_seconds:g} s")
            self.refusal = self.death

    async def _read(self) -> None:
        try:
            while (frame := await self._channel.receive()) is not None:
                self._pulse.heard()
                self._take(frame)
        except ProtocolError as error:
            self._kill(f"broke the protocol: {error}")

    def _take(self, frame: FromProcess) -> None:
        match frame:
            case Loaded() | LoadFailed() if self.facts is not None:
                raise ProtocolError("it had loaded before")
            case Loaded(facts):
                self.facts = facts
                self._pulse.start()
                self._on_change()
            case LoadFailed(message):
                self.refusal = message
            case Pong():
                return
            case _:
                self._tell(frame)

    def _tell(self, frame: AboutSession) -> None:
        if session := self._sessions.get(frame.number):  # else its pipeline was late to end
            session.take(frame)

    def _forget(self, number: int) -> None:
        del self._sessions[number]
        self._on_change()

    def _bury(self) -> None:
        if not self.death:
            ended = f"The stream process died: it {self._process.exit_text}"
            self.death = self.refusal or ended
        why = "The stream service has stopped" if self.is_leaving else self.death
        for session in list(self._sessions.values()):
            session.end(SessionFailed(why))
        self._on_change()
