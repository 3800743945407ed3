"""A stream service around a world model: one person at a time walks, by keys, through pictures.

A pipeline file returns it from `get_service()`. Nothing is made before the first control; keys that
are held go on, and when all are let go the last picture stays.
"""

import threading
import time
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from telefuser_grpc.pipeline.world_config import DEFAULTS, WorldConfig, read_config
from telefuser_grpc.pipeline.world_image import read_intrinsics, read_picture
from telefuser_grpc.pipeline.world_metrics import Clock
from telefuser_grpc.pipeline.world_model import World
from telefuser_grpc.pipeline.world_outbox import Message
from telefuser_grpc.pipeline.world_session import WorldSession

logger = structlog.get_logger()

CLOSE_SECONDS = 300.0

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class _Walk(Generic[S]):
    session: WorldSession[S]
    running: Future[None]


class WorldService(Generic[S]):
    """A bidirectional stream service; the world runs on one thread of its own.

    Args:
        media_roots: Below which folders clients may name pictures by path.
        close_seconds: How long the end of a session waits for the chunk that is being made.
    """

    def __init__(
        self,
        world: World[S],
        *,
        media_roots: Sequence[str | Path] = (),
        close_seconds: float = CLOSE_SECONDS,
        clock: Clock = time.monotonic,
    ) -> None:
        self._world = world
        self._media_roots = tuple(map(Path, media_roots))
        self._close_seconds = close_seconds
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="world")
        self._walk: _Walk[S] | None = None
        self._changing = threading.Lock()

    @property
    def default_fps(self) -> float:
        """Frames of a second where a client asks for no other number."""
        return float({**DEFAULTS, **self._world.traits.defaults}["fps"])

    def start(self) -> None:
        """Loads the world."""
        self._thread.submit(self._world.load).result()

    def stop(self) -> None:
        """Ends what runs."""
        if self._walk is not None:
            self._walk.session.close()
        self._thread.shutdown()

    def create_session(self, config: Mapping[str, Any]) -> str:
        """Begins a session and returns its id, the client's where it chose one.

        Raises:
            ValueError: The configuration cannot be taken; the message names the field.
            RuntimeError: Another session is active.
        """
        image, read = self._read(config)
        session_id = str(config.get("session_id") or uuid.uuid4())
        with self._changing:
            if self._active() is not None:
                raise RuntimeError(
                    f"{self._world.traits.name} supports one active session at a time; stop it "
                    "before reconnecting"
                )
            session = WorldSession(session_id, self._world, read, image, clock=self._clock)
            self._walk = _Walk(session, self._thread.submit(session.run))
        return session_id

    def push_chunk(self, session_id: str, chunk: Any) -> None:
        """Hands over what a client says; a session that is over ignores it."""
        if (walk := self._of(session_id)) is not None:
            walk.session.push(chunk)

    async def pull_chunks(self, session_id: str) -> AsyncGenerator[Message, None]:
        """Yields what a client is shown and told, once. Raises ValueError for an unknown id."""
        if (walk := self._of(session_id)) is None:
            raise ValueError(f"there is no session {session_id!r}")
        async for message in walk.session.pull():
            yield message

    def close_session(self, session_id: str) -> None:
        """Ends a session and waits for that; an unknown one is no error."""
        if (walk := self._of(session_id)) is None:
            return
        walk.session.close()
        if wait([walk.running], self._close_seconds).not_done:
            logger.warning("session does not end", session=session_id, seconds=self._close_seconds)
            return
        with self._changing:
            if self._walk is walk:
                self._walk = None

    def has_session(self, session_id: str) -> bool:
        """Tells whether a session goes on."""
        walk = self._active()
        return walk is not None and walk.session.id == session_id

    def _active(self) -> _Walk[S] | None:
        """Returns the session that goes on; one that is over takes no place."""
        return None if self._walk is None or self._walk.session.is_over else self._walk

    def _of(self, session_id: str) -> _Walk[S] | None:
        walk = self._walk
        return walk if walk is not None and walk.session.id == session_id else None

    def _read(self, config: Mapping[str, Any]) -> tuple[Any | None, WorldConfig]:
        traits = self._world.traits
        image = read_picture(config, roots=self._media_roots)
        if image is None and traits.needs_image:
            raise ValueError(f"{traits.name} needs 'image', a data URL, or 'image_path'")
        fields = dict(config)
        if path := fields.get("intrinsics_path"):
            fields.setdefault("intrinsics", read_intrinsics(path, roots=self._media_roots))
        read = read_config(
            fields,
            defaults=traits.defaults,
            stride=traits.stride,
            max_duration_seconds=traits.max_duration_seconds,
            control_modes=traits.control_modes,
            image_size=None if image is None else image.size,
        )
        return image, read
