"""What a service of sessions is and does as a whole, for those who ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from telefuser_grpc.domain.replica import ReplicaStatus
from telefuser_grpc.domain.session import StreamFacts, StreamMode
from telefuser_grpc.errors import StreamNotRunning
from telefuser_grpc.scheduler.sessions import Sessions
from telefuser_grpc.scheduler.stream_ports import StreamHost


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamServiceFacts:
    """How the service was started: what its metadata says beside what was loaded.

    `parallelism` counts the devices of the pipeline; `queue_limit` and `configured_concurrency` are
    those of tasks and are only shown.
    """

    pipeline_file: str
    parallelism: int
    security_level: str
    video_codec: str
    video_bitrate: int
    queue_limit: int
    configured_concurrency: int


class StreamService:
    """Reads the state of the service from those who own it."""

    def __init__(self, *, facts: StreamServiceFacts, sessions: Sessions, host: StreamHost) -> None:
        self.facts = facts
        self._sessions = sessions
        self._host = host

    @property
    def loaded(self) -> StreamFacts:
        """What the pipeline tells of itself. Raises StreamNotRunning."""
        return self._host.facts

    @property
    def mode(self) -> StreamMode | None:
        """Who speaks in its sessions; None while nothing is loaded."""
        try:
            return self.loaded.mode
        except StreamNotRunning:
            return None

    @property
    def is_ready(self) -> bool:
        """Tells whether a session could be opened, but for their number."""
        return self.mode is not None and not self._sessions.is_closing

    @property
    def why_not_ready(self) -> str:
        """Says in one sentence why no session could be opened, or nothing."""
        if self.is_ready:
            return ""
        return "The server is stopping" if self._sessions.is_closing else StreamNotRunning().message

    @property
    def limit(self) -> int:
        """The most sessions that may be open together."""
        return self._sessions.limit

    def counts(self) -> Mapping[StreamMode, int]:
        """Returns how many sessions of all callers are open."""
        return self._sessions.counts()

    def streaming(self) -> Sequence[str]:
        """Returns the ids of the caller's open sessions, the oldest first."""
        return [session.id for session in self._sessions.list()]

    def replicas(self) -> Sequence[ReplicaStatus]:
        """Returns the process that generates; a caller sees the sessions that are its own."""
        own = set(self.streaming())
        status = self._host.status()
        return [replace(status, task_ids=tuple(each for each in status.task_ids if each in own))]
