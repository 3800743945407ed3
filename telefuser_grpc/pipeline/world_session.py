"""One walk through a world: a client's messages in, chunks out, and the loop between them."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import structlog

from telefuser_grpc.pipeline.failure import failure_of
from telefuser_grpc.pipeline.world_config import WorldConfig
from telefuser_grpc.pipeline.world_controls import RESET, Controls, Inbox
from telefuser_grpc.pipeline.world_hud import draw_controls
from telefuser_grpc.pipeline.world_metrics import Clock, Metrics, Pace
from telefuser_grpc.pipeline.world_model import World
from telefuser_grpc.pipeline.world_outbox import Message, Outbox

logger = structlog.get_logger()

S = TypeVar("S")


class SessionOver(Exception):
    """Nobody waits for the chunk that is being made."""


class WorldSession(Generic[S]):
    """A session of a world. `run` is its whole life; everything else is called while it runs."""

    def __init__(
        self,
        session_id: str,
        world: World[S],
        config: WorldConfig,
        image: Any | None,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        traits = world.traits
        self.id = session_id
        self.is_over = False
        self._world = world
        self._config = config
        self._image = image
        self._clock = clock
        poses = config.length.chunk_size if traits.takes_poses else 0
        self._limit_seconds = traits.max_duration_seconds
        self._inbox = Inbox(keys=traits.keys, poses=poses)
        self._outbox = Outbox()
        self._metrics = Metrics(clock)
        self._pace = Pace(clock)
        self._frames = 0
        self._chunks = 0

    def push(self, message: Any) -> None:
        """Takes what the client says; media and bytes mean nothing to a world."""
        if not isinstance(message, Mapping) or message.get("type") == "media":
            return
        self._metrics.heard()
        try:
            self._inbox.hear(message)
        except ValueError as error:
            self._tell("control_ignored", message=str(error))
        if message.get("type") in ("control", "control_state"):
            self._tell("control_state", controls=list(self._inbox.held))

    def pull(self) -> AsyncGenerator[Message, None]:
        """Yields everything that the client is shown and told, once."""
        return self._outbox.read()

    def close(self) -> None:
        """Asks for the end, which comes with the next step of the model."""
        self._inbox.close()

    def run(self) -> None:
        """Lives the session to its end. Raises nothing."""
        try:
            self._walk()
        except SessionOver:
            logger.info("walk stopped in between", session=self.id, chunk=self._chunks)
        except Exception as error:  # a world is anybody's code
            logger.exception("walk failed", session=self.id)
            self._fail("worker_failed", error)
        self._image = None
        self._summarise()
        self.is_over = True  # before the client is told, who may begin another at once
        self._outbox.close(self._full({"type": "done", "total_chunks": self._chunks}))

    def _walk(self) -> None:
        if self._inbox.is_closed:
            raise SessionOver
        first, beginning = self._world.begin(self._image, self._config)
        try:
            self._follow(first, beginning)
        finally:
            self._end(beginning)

    def _follow(self, first: Any, beginning: S) -> None:
        """Makes chunk after chunk, each of what is wanted when it is begun."""
        self._preview(first)
        keys = list(self._world.traits.keys)
        size = {"width": first.width, "height": first.height}
        self._tell("runtime_ready", keys=keys, **size, **self._progress())
        state = beginning
        given: tuple[Any, ...] = (first,)
        carried: Controls | None = None
        while self._chunks < self._config.length.chunks:
            controls = carried or self._next()
            if controls is None:
                return
            if controls is RESET:
                state = beginning
                self._preview(first)
                continue
            count = self._config.length.frames_after_the_first(self._chunks)
            carried = None if count else controls  # the picture that was given is a chunk
            started = self._clock()
            self._tell("generating_chunk", index=self._chunks)
            frames, state = self._made(state, controls, count)
            self._send([*given, *frames], controls, seconds=self._clock() - started)
            given = ()

    def _next(self) -> Controls | None:
        self._inbox.wait_for_end(self._pace.seconds_to_wait())
        controls = self._inbox.take()
        if controls is not None and controls is not RESET:
            config = self._config
            self._tell(
                "applying_direction_control",
                index=self._chunks,
                controls=list(controls.keys),
                move_step=config.control_move_step,
                lateral_step=config.control_lateral_step,
                yaw_step_degrees=config.control_yaw_step_degrees,
                pitch_step_degrees=config.control_pitch_step_degrees,
            )
        return controls

    def _made(self, state: S, controls: Controls, count: int) -> tuple[Sequence[Any], S]:
        if not count:
            return (), state
        frames, state = self._world.generate(state, controls, count, self._step)
        if len(frames) != count:
            raise RuntimeError(f"the world made {len(frames)} frames where {count} were asked for")
        return frames, state

    def _step(self, **told: Any) -> None:
        if self._inbox.is_closed:
            raise SessionOver
        self._tell("generating_chunk", index=self._chunks, **told)

    def _send(self, frames: Sequence[Any], controls: Controls, *, seconds: float) -> None:
        if self._inbox.is_closed:
            raise SessionOver
        config = self._config
        shown = draw_controls(frames, controls.keys) if config.show_control_hud else list(frames)
        index = self._chunks
        applied = list(controls.keys)
        self._put({"type": "chunk", "index": index, "frames": shown, "applied_controls": applied})
        self._chunks += 1
        self._frames += len(frames)
        media_seconds = len(frames) / config.fps
        self._pace.made(media_seconds=media_seconds, seconds=seconds)
        metrics = self._metrics.sent(seconds=seconds, media_seconds=media_seconds)
        self._tell(
            "chunk_sent",
            index=index,
            frames_sent=len(frames),
            runtime_metrics={**metrics, **self._queue()},
            **self._progress(),
        )

    def _preview(self, first: Any) -> None:
        self._put({"type": "preview", "index": -1, "frames": [first]})

    def _end(self, state: S) -> None:
        try:
            self._world.end(state)
        except Exception as error:  # a world is anybody's code
            logger.exception("end of walk failed", session=self.id)
            self._fail("cleanup_failed", error)

    def _fail(self, stage: str, error: Exception) -> None:
        self._put({"type": "error", "stage": stage, "error": str(failure_of(error))})

    def _summarise(self) -> None:
        told = self._metrics.summary(with_chunks=self._config.benchmark_metrics)
        self._tell("runtime_summary", runtime_metrics={**told, **self._queue()}, **self._progress())

    def _queue(self) -> dict[str, int]:
        return {
            "output_queue_high_watermark": self._outbox.high_watermark,
            "dropped_video_payloads": self._outbox.dropped_videos,
            "dropped_status_payloads": self._outbox.dropped_statuses,
        }

    def _progress(self) -> dict[str, Any]:
        length, fps = self._config.length, self._config.fps
        return {
            "stream_progress": {
                "service_max_duration_seconds": self._limit_seconds,
                "target_duration_seconds": round((length.frames - 1) / fps, 3),
                "generated_duration_seconds": round(max(0, self._frames - 1) / fps, 3),
                "target_frames": length.frames,
                "generated_frames": self._frames,
                "fps": fps,
                "total_chunks": length.chunks,
                "completed_chunks": self._chunks,
            }
        }

    def _tell(self, stage: str, **told: Any) -> None:
        self._put({"type": "status", "stage": stage, **told})

    def _put(self, message: Message) -> None:
        self._outbox.put(self._full(message))

    def _full(self, message: Message) -> Message:
        usual = {"index": self._chunks, "fps": self._config.fps, "timestamp": time.time()}
        return {**usual, **message}
