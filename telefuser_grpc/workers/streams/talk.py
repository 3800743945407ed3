"""What a number stands for in the stream process: a session with a pipeline, or one request."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
import structlog

from telefuser_grpc.domain.session import ClientMessage
from telefuser_grpc.pipeline.failure import MESSAGE_LENGTH, public_message, without_paths
from telefuser_grpc.pipeline.stream_loop import StreamLoop
from telefuser_grpc.pipeline.stream_service import StreamService
from telefuser_grpc.workers.streams.messages import Created, Heard, Refusal, Refused, Told
from telefuser_grpc.workers.streams.output import PATIENCE_SECONDS, Output, ProcessChannel

SETTLE_SECONDS = 2.0
"""How long the close of a session waits for what the pipeline does for it."""

logger = structlog.get_logger()


class Occupant(Protocol):
    """What a number stands for."""

    def taken(self) -> None:
        """Makes room for another chunk."""
        ...

    def close(self) -> None:
        """Ends it, without waiting for that."""
        ...


class Request:
    """A request to a server-push service."""

    def __init__(
        self,
        number: int,
        service: StreamService,
        channel: ProcessChannel,
        on_closed: Callable[[], None],
    ) -> None:
        self._service = service
        self._on_closed = on_closed
        self._loop = StreamLoop(f"request-{number}")
        self._output = Output(number, channel, self._loop)

    def begin(self, request: Mapping[str, Any]) -> None:
        """Lets the chunks come."""
        self._output.begin(lambda: self._service.serve(request), self._end)

    def taken(self) -> None:
        """Makes room for another chunk."""
        self._output.taken()

    def close(self) -> None:
        """Stops before the next chunk."""
        self._output.stop(after_seconds=PATIENCE_SECONDS)

    def _end(self) -> None:
        self._loop.close()
        self._on_closed()


class Talk:
    """A session of a bidirectional service.

    Its pushes, its output and its close have a thread each, so that none waits for another where
    the pipeline does not want that.

    Args:
        claim: Takes an id, unless it is taken.
    """

    def __init__(
        self,
        number: int,
        service: StreamService,
        channel: ProcessChannel,
        claim: Callable[[str], bool],
        on_closed: Callable[[str], None],
    ) -> None:
        self._number = number
        self._service = service
        self._channel = channel
        self._claim = claim
        self._on_closed = on_closed
        self._loop = StreamLoop(f"session-{number}")
        self._output = Output(number, channel, self._loop)
        self._inbox: queue.SimpleQueue[ClientMessage | None] = queue.SimpleQueue()
        self._id: Any = None
        self._name = ""
        self._decided = threading.Event()  # whether it was created
        self._closing = threading.Event()
        self._once = threading.Lock()  # the first to take it closes
        self._listening: threading.Thread | None = None

    def begin(self, config: Mapping[str, Any]) -> None:
        """Creates the session."""
        name = f"session-{self._number}"
        self._listening = threading.Thread(
            target=self._listen, args=(config,), name=name, daemon=True
        )
        self._listening.start()

    def pull(self) -> None:
        """Lets the chunks come."""
        self._output.begin(lambda: self._service.pull(self._id), lambda: None)

    def push(self, message: ClientMessage) -> None:
        """Hands a message over when those before it are."""
        self._inbox.put(message)

    def taken(self) -> None:
        """Makes room for another chunk."""
        self._output.taken()

    def close(self) -> None:
        """Ends the session as soon as it is created."""
        if self._once.acquire(blocking=False):
            self._closing.set()
            self._inbox.put(None)
            name = f"session-{self._number}-close"
            threading.Thread(target=self._close, name=name, daemon=True).start()

    def _listen(self, config: Mapping[str, Any]) -> None:
        self._loop.adopt_thread()
        self._create(config)
        self._decided.set()
        if not self._name:
            self._loop.close()
            self._on_closed("")
            return
        while (message := self._inbox.get()) is not None:
            if not self._closing.is_set():
                self._hear(message)

    def _create(self, config: Mapping[str, Any]) -> None:
        try:
            returned = self._service.create(config, self._loop)
        except (ValueError, TypeError, OSError) as error:
            self._refuse(Refusal.REJECTED, _first_line(error), error)
        except RuntimeError as error:
            self._refuse(Refusal.CONFLICT, _first_line(error), error)
        except (Exception, SystemExit) as error:
            self._refuse(Refusal.FAILED, "The pipeline failed to create the session", error)
        else:
            self._accept(config.get("session_id") if returned is None else returned)

    def _accept(self, session_id: Any) -> None:
        name = "" if session_id is None else str(session_id).encode(errors="replace").decode()
        if not name:
            self._refuse(Refusal.FAILED, "The pipeline gave the session no id")
        elif not self._claim(name):
            self._refuse(Refusal.CONFLICT, f"session {name} is open already")
        else:
            self._id, self._name = session_id, name
            self._channel.send(Created(self._number, name))

    def _refuse(self, refusal: Refusal, why: str, error: BaseException | None = None) -> None:
        logger.warning("session refused", why=why, exc_info=error)
        why = why.encode(errors="replace").decode()
        self._channel.send(Refused(self._number, refusal, why))

    def _hear(self, message: ClientMessage) -> None:
        try:
            self._service.push(self._id, message, self._loop)
        except (Exception, SystemExit) as error:
            logger.warning("message not taken", session_id=self._name, exc_info=error)
            told = {"type": "error", "stage": "push_chunk", "error": public_message(error)}
            self._channel.send(Told(self._number, msgspec.json.encode(told)))
        self._channel.send(Heard(self._number))

    def _close(self) -> None:
        self._decided.wait()
        if not self._name:
            return
        self._output.stop(after_seconds=0)
        patience_ends = time.monotonic() + SETTLE_SECONDS
        if self._listening is not None:
            self._listening.join(SETTLE_SECONDS)
        self._output.ended.wait(max(0.0, patience_ends - time.monotonic()))
        self._service.close(self._id, self._loop)
        self._loop.close()
        self._on_closed(self._name)


def _first_line(error: Exception) -> str:
    """Returns what a pipeline says, but of a file only its name."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: {str(error.filename).rpartition('/')[2]}"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return without_paths(lines[0])[:MESSAGE_LENGTH]
