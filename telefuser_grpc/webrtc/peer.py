"""A client's connection over WebRTC, as a session sees it."""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiortc import MediaStreamTrack, RTCDataChannel, RTCPeerConnection, RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from telefuser_grpc.domain.session import (
    Chunk,
    ClientMessage,
    CloseCause,
    Picture,
    Sound,
    StreamMode,
)
from telefuser_grpc.scheduler.stream_ports import PeerGone
from telefuser_grpc.webrtc.audio import AudioTrack
from telefuser_grpc.webrtc.channel import LABEL, Channel
from telefuser_grpc.webrtc.inbox import Inbox
from telefuser_grpc.webrtc.link import Link, watch_silence
from telefuser_grpc.webrtc.media import MonoResampler, frame_of, media_of
from telefuser_grpc.webrtc.options import WebRtcOptions
from telefuser_grpc.webrtc.pacing import Clock
from telefuser_grpc.webrtc.video import VideoTrack

CONNECT_SECONDS = 30.0
CLOSE_SECONDS = 5.0
MOST_PIXELS = 4096 * 4096

logger = structlog.get_logger()


class WebRtcPeer:
    """Implements the port of a client's connection.

    In a bidirectional session the client opens a data channel, which is what the session stands
    and falls with; a server push needs the media alone, and speaks there if the client has one.

    Attributes:
        session_id: What messages to the client say.
        connection: What the negotiation describes.
    """

    def __init__(
        self,
        connection: RTCPeerConnection,
        *,
        session_id: str,
        mode: StreamMode,
        fps: float,
        video: VideoTrack,
        audio: AudioTrack | None,
        options: WebRtcOptions,
        clock: Clock,
    ) -> None:
        self.session_id = session_id
        self.mode = mode
        self.connection = connection
        self._fps = fps
        self._video = video
        self._audio = audio
        self._options = options
        self._clock = clock
        self._resampler = MonoResampler()
        self._inbox = Inbox()
        self._channel: Channel | None = None
        self._opened = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._link = Link(
            grace_seconds=0 if self._pushes else options.disconnected_grace_seconds,
            on_up=self._up,
            on_lost=self._lost,
        )
        connection.on("connectionstatechange", self._state_changed)
        connection.on("datachannel", self._channel_opened)
        if not self._pushes:
            connection.on("track", self._track_offered)

    @property
    def transport(self) -> str:
        return "webrtc"

    @property
    def ends_with_output(self) -> bool:
        return False

    def track(self, kind: str) -> MediaStreamTrack | None:
        """Returns what the client receives of a kind."""
        return self._video if kind == "video" else self._audio

    def watch(self, sender: RTCRtpSender) -> None:
        """Notices from now on when the client no longer reports what this sends."""
        self._spawn(watch_silence(sender, self._link, self._clock))

    async def opened(self) -> None:
        timeout = self._options.data_channel_timeout_seconds
        try:
            async with asyncio.timeout(CONNECT_SECONDS if self._pushes else timeout):
                await self._opened.wait()
        except TimeoutError:
            late = CloseCause.CONNECTION if self._pushes else CloseCause.DATA_CHANNEL_TIMEOUT
            self._leave(late)
        self._check()

    async def receive(self) -> ClientMessage | None:
        return await self._inbox.get()

    async def send(self, chunk: Chunk) -> None:
        self._check()
        if chunk.pictures or chunk.sound:
            await self._show(chunk.pictures, chunk.sound)
        if chunk.data or not self._pushes:
            await self._tell(self._chunk_message(chunk.index, chunk.data, None))
        self._check()

    async def finish(self, chunks: int, error: str | None) -> None:
        if error is not None:
            await self._tell(self._chunk_message(chunks, {}, error))
        await self._tell(
            {
                "type": "done",
                "session_id": self.session_id,
                "total_chunks": chunks,
                "timestamp": time.time(),
            }
        )

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    @property
    def _pushes(self) -> bool:
        return self.mode is StreamMode.SERVER_PUSH

    async def _show(self, pictures: Sequence[Picture], sound: Sound | None) -> None:
        frames, pcm = await asyncio.to_thread(self._render, pictures, sound)
        if self._pushes:  # nobody steers, so nothing is gained by losing pictures
            await self._video.room_for(len(frames))
        dropped = self._video.put(frames)
        if self._audio is not None:
            self._audio.skip(dropped / self._fps)
            self._audio.put(pcm)

    def _render(
        self, pictures: Sequence[Picture], sound: Sound | None
    ) -> tuple[list[VideoFrame], bytes]:
        hears = sound is not None and self._audio is not None
        return [frame_of(each) for each in pictures], (
            self._resampler.convert(sound) if sound is not None and hears else b""
        )

    def _chunk_message(
        self, index: int, data: Mapping[str, Any], error: str | None
    ) -> Mapping[str, Any]:
        return {
            "type": "chunk",
            "session_id": self.session_id,
            "index": index,
            "data": data,
            "error": error,
            "timestamp": time.time(),
        }

    async def _tell(self, message: Mapping[str, Any]) -> None:
        if self._channel is not None and self._inbox.cause is None:
            await self._channel.tell(message)

    def _check(self) -> None:
        if self._inbox.cause is not None:
            raise PeerGone(self._inbox.cause)

    def _state_changed(self) -> None:
        state = self.connection.connectionState
        logger.debug("connection changed", session_id=self.session_id, state=state)
        self._link.changed(state)

    def _up(self) -> None:
        if self._pushes:
            self._opened.set()

    def _lost(self) -> None:
        self._leave(CloseCause.CONNECTION)

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel.label != LABEL or self._channel is not None:
            logger.info("data channel refused", session_id=self.session_id, label=channel.label)
            channel.close()
            return
        self._channel = Channel(channel, self._inbox, on_close=self._hung_up)
        if not self._pushes:
            self._opened.set()

    def _hung_up(self) -> None:
        if not self._pushes:
            self._leave(CloseCause.CLIENT)

    def _track_offered(self, track: MediaStreamTrack) -> None:
        self._spawn(_relay(track, self._inbox))

    def _leave(self, cause: CloseCause) -> None:
        """Lets everything go that waits for the client."""
        self._inbox.leave(cause)
        self._opened.set()
        self._stop_sending()

    def _stop_sending(self) -> None:
        self._video.stop()
        if self._audio is not None:
            self._audio.stop()
        if self._channel is not None:
            self._channel.release()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        if self._channel is not None and self._inbox.cause is None:
            await self._channel.close()
        self._leave(CloseCause.REQUEST)
        self._link.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.connection.close()
        except TimeoutError:
            logger.warning("connection not closed in time", session_id=self.session_id)


async def _relay(track: MediaStreamTrack, inbox: Inbox) -> None:
    """Brings what a client's camera or microphone records, until it ends.

    A picture beyond all measure, which is sent in a few bytes and takes gigabytes, is left out.
    """
    with suppress(MediaStreamError):
        while True:
            frame = await track.recv()
            if isinstance(frame, VideoFrame) and frame.width * frame.height > MOST_PIXELS:
                continue
            inbox.put_media(await asyncio.to_thread(media_of, frame))
