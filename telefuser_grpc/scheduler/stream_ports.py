"""What sessions need of the outside: the process that generates, and the client's connection."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from telefuser_grpc.domain.replica import ReplicaStatus
from telefuser_grpc.domain.session import Chunk, ClientMessage, CloseCause, StreamFacts


class StreamHost(Protocol):
    """The process that has loaded a stream pipeline.

    It may die and come back: then its sessions end with SessionFailed, and new ones work.
    """

    @property
    def facts(self) -> StreamFacts:
        """What was loaded. Raises StreamNotRunning."""
        ...

    def status(self) -> ReplicaStatus:
        """Returns the state of the process; `task_ids` are the sessions that it runs."""
        ...

    async def create(self, config: Mapping[str, Any]) -> str:
        """Begins a session of a bidirectional service and returns its id.

        Raises:
            SessionRejected: The pipeline does not take this configuration.
            SessionConflict: The pipeline cannot have another session now, or gives it an id that
                another one has.
            StreamNotRunning
        """
        ...

    async def push(self, session_id: str, message: ClientMessage) -> None:
        """Hands a message to the pipeline, in order; an ended session ignores it."""
        ...

    def pull(self, session_id: str) -> AsyncGenerator[Chunk, None]:
        """Yields the chunks of a session that was created, once.

        The pipeline is not asked for more than a few chunks ahead. Raises SessionFailed.
        """
        ...

    def serve(self, session_id: str, request: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Yields the chunks that a server-push service makes for a request.

        Closing the generator stops the pipeline before its next chunk. Raises SessionFailed.
        """
        ...

    async def close(self, session_id: str) -> None:
        """Ends a session that was created, and waits for that; an unknown one is no error."""
        ...


class Peer(Protocol):
    """A client's connection, of one session, until it is closed."""

    @property
    def transport(self) -> str:
        """`webrtc` or `grpc`."""
        ...

    @property
    def ends_with_output(self) -> bool:
        """Whether the end of the output is the end of the session."""
        ...

    async def opened(self) -> None:
        """Waits until the client can receive. Raises PeerGone."""
        ...

    async def receive(self) -> ClientMessage | None:
        """Waits for the client's next message; None after a stop. Raises PeerGone."""
        ...

    async def send(self, chunk: Chunk) -> None:
        """Shows a chunk; waits, or drops what is old, where the client is slow. Raises PeerGone."""
        ...

    async def finish(self, chunks: int, error: str | None) -> None:
        """Tells of the end of the output: chunks with pictures, and what went wrong, if so."""
        ...

    async def close(self) -> None:
        """Lets the connection go; closing twice is no error."""
        ...


class PeerGone(Exception):
    """The connection has ended, for a cause that is not the client's wish unless it says so."""

    def __init__(self, cause: CloseCause = CloseCause.CONNECTION) -> None:
        super().__init__(cause)
        self.cause = cause
