"""A client over WebRTC, such as a browser is: it offers, receives media, and talks."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

T = TypeVar("T")

PATIENCE_SECONDS = 20.0


class WebRtcClient:
    """Offers to receive video, and what else is asked for.

    Attributes:
        pictures: What was received of video so far.
        sounds: What was received of audio so far.
    """

    def __init__(
        self,
        *,
        audio: bool = False,
        camera: bool = False,
        label: str | None = "telefuser",
    ) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pictures: list[VideoFrame] = []
        self.sounds: list[AudioFrame] = []
        self.channel = None if label is None else self.open_channel(label)
        self._heard: asyncio.Queue[Mapping[str, Any] | bytes | None] = asyncio.Queue()
        self._received = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connection.on("track", self._receive)
        self._add("video", VideoStreamTrack() if camera else None)
        if audio:
            self._add("audio", AudioStreamTrack() if camera else None)

    def open_channel(self, label: str) -> RTCDataChannel:
        """Creates a data channel; what is said there is heard if it is the session's."""
        channel = self.connection.createDataChannel(label)
        if label == "telefuser":
            channel.on("message", self._hear)
            channel.on("close", lambda: self._heard.put_nowait(None))
        return channel

    async def offer(self) -> str:
        """Returns the offer, with all candidates."""
        await self.connection.setLocalDescription()
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        """Takes the answer, and connects."""
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def speaks(self) -> None:
        """Waits until the data channel is open."""
        assert self.channel
        if self.channel.readyState == "connecting":
            opened = asyncio.Event()
            self.channel.on("open", opened.set)
            await _soon(opened.wait())

    def say(self, message: Mapping[str, Any] | str | bytes) -> None:
        """Says a message; text goes as it is."""
        assert self.channel
        self.channel.send(json.dumps(message) if isinstance(message, Mapping) else message)

    async def hear(self) -> Mapping[str, Any] | bytes | None:
        """Waits for the next message of the server; None when the channel was closed."""
        return await _soon(self._heard.get())

    async def sees(self, count: int) -> list[VideoFrame]:
        """Waits until so many pictures have come, and returns all."""
        while len(self.pictures) < count:
            self._received.clear()
            await _soon(self._received.wait())
        return self.pictures

    async def hears_sound(self, count: int) -> list[AudioFrame]:
        """Waits until so many pieces of sound have come, and returns all."""
        while len(self.sounds) < count:
            self._received.clear()
            await _soon(self._received.wait())
        return self.sounds

    async def close(self) -> None:
        """Goes."""
        await self.connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _add(self, kind: str, track: MediaStreamTrack | None) -> None:
        if track is None:
            self.connection.addTransceiver(kind, "recvonly")
        else:
            self.connection.addTransceiver(track, "sendrecv")

    def _hear(self, said: str | bytes) -> None:
        self._heard.put_nowait(json.loads(said) if isinstance(said, str) else said)

    def _receive(self, track: MediaStreamTrack) -> None:
        self._spawn(self._collect(track))

    async def _collect(self, track: MediaStreamTrack) -> None:
        into: list[Any] = self.pictures if track.kind == "video" else self.sounds
        with suppress(MediaStreamError):
            while True:
                into.append(await track.recv())
                self._received.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))


async def _soon(waiting: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await waiting


@asynccontextmanager
async def webrtc_client(**wishes: Any) -> AsyncIterator[WebRtcClient]:
    """Makes a client, and closes it."""
    client = WebRtcClient(**wishes)
    try:
        yield client
    finally:
        await client.close()
