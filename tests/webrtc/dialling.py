"""Connects a client and a peer, without a server between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from telefuser_grpc.domain.session import StreamMode
from telefuser_grpc.webrtc.negotiator import Negotiator
from telefuser_grpc.webrtc.options import WebRtcOptions
from telefuser_grpc.webrtc.peer import WebRtcPeer
from tests.fakes.webrtc_client import WebRtcClient, webrtc_client

BIDIRECTIONAL = StreamMode.BIDIRECTIONAL
SERVER_PUSH = StreamMode.SERVER_PUSH
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Line:
    """Both ends of a connection, and the answer that made it."""

    client: WebRtcClient
    peer: WebRtcPeer
    answer: str

    async def stands(self) -> None:
        """Waits until the session can begin."""
        await self.peer.opened()
        if self.client.channel:
            await self.client.speaks()


@asynccontextmanager
async def dialled(
    mode: StreamMode = BIDIRECTIONAL,
    options: WebRtcOptions | None = None,
    *,
    fps: float = 20,
    **wishes: Any,
) -> AsyncIterator[Line]:
    """Lets a client offer and take the answer; closes both."""
    async with webrtc_client(**wishes) as client:
        negotiator = Negotiator(options or WebRtcOptions())
        peer, answer = await negotiator.connect(
            await client.offer(), session_id="s", mode=mode, fps=fps
        )
        try:
            await client.accept(answer)
            async with asyncio.timeout(PATIENCE_SECONDS):  # pytest's own does not reach this loop
                yield Line(client=client, peer=peer, answer=answer)
        finally:
            await peer.close()
