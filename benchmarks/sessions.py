"""What live sessions cost: the way of a control to its chunk, pictures, and a browser's start."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from benchmarks import rest
from benchmarks.lab import Lab, Rows, milliseconds
from benchmarks.row import Row
from telefuser_grpc.client import AsyncClient, AsyncLiveSession, PictureFormat

WARM_UP = 20
FRAMES = 16
OFFER = "/v1/stream/webrtc/offer"


async def sessions(lab: Lab) -> Rows:
    """Sessions over one gRPC call, without Envoy and through it, and over WebRTC."""
    direct: list[float] = []
    through: list[float] = []
    async with lab.streams("echo", gateway=False) as bare, lab.streams("echo") as fronted:
        async with _session(bare.port) as near, _session(fronted.port) as far:
            for _ in range(WARM_UP + lab.count(500, least=100)):
                direct.append(await milliseconds(_echoed(near)))
                through.append(await milliseconds(_echoed(far)))
        yield Row("control to its chunk, native direct", "ms", direct[WARM_UP:])
        yield Row("control to its chunk, through Envoy", "ms", through[WARM_UP:])
        for format_ in (PictureFormat.RGB, PictureFormat.JPEG):
            async with _session(fronted.port, format_) as session:
                rate = await _rate(session, lab.count(20))
            yield Row(f"pictures of 832x480 as {format_}", "1/s", [rate])
        first = [await _first_picture(fronted.port) for _ in range(lab.count(10))]
        yield Row("WebRTC offer to first decoded picture", "ms", first)


@asynccontextmanager
async def _session(
    port: int, format_: PictureFormat = PictureFormat.RGB
) -> AsyncIterator[AsyncLiveSession]:
    async with (
        AsyncClient(f"127.0.0.1:{port}") as client,
        client.session({}, picture_format=format_) as session,
    ):
        yield session


async def _echoed(session: AsyncLiveSession, frames: int = 0) -> None:
    await session.send({"frames": frames})
    await anext(aiter(session))


async def _rate(session: AsyncLiveSession, count: int) -> float:
    await _echoed(session, FRAMES)
    start = time.perf_counter()
    for _ in range(count):
        await session.send({"frames": FRAMES})
    for _ in range(count):
        await anext(aiter(session))
    return count * FRAMES / (time.perf_counter() - start)


async def _first_picture(port: int) -> float:
    """Times a browser's way: an offer, a connection, a control, and the picture of its chunk."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    channel = connection.createDataChannel("telefuser")
    channel.on("open", lambda: channel.send('{"frames": 1}'))
    connection.addTransceiver("video", "recvonly")
    seen = asyncio.Event()

    @connection.on("track")
    async def receive(track: object) -> None:
        while (await track.recv()).width != 832:  # type: ignore[attr-defined] # placeholders
            continue
        seen.set()

    start = time.perf_counter()
    await connection.setLocalDescription()
    offer = {"sdp": connection.localDescription.sdp, "task": "echo"}
    async with rest.connected(port) as web:
        answer = await web.post(OFFER, offer)
    await connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    await seen.wait()
    elapsed = (time.perf_counter() - start) * 1000
    await connection.close()
    return elapsed
