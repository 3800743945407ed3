"""Decides from the states of a connection whether its client is gone."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiortc import RTCRtpSender
from aiortc.stats import RTCOutboundRtpStreamStats, RTCTransportStats

from telefuser_grpc.webrtc.pacing import Clock

LOOK_SECONDS = 1.0
SILENT_SECONDS = 5.0

logger = structlog.get_logger()


class Link:
    """The state of a connection; one that was lost may come back within a grace.

    Attributes:
        on_up: Called whenever the connection stands.
        on_lost: Called when it will not stand again.
    """

    def __init__(
        self, *, grace_seconds: float, on_up: Callable[[], None], on_lost: Callable[[], None]
    ) -> None:
        self._grace_seconds = grace_seconds
        self._on_up = on_up
        self._on_lost = on_lost
        self._timer: asyncio.TimerHandle | None = None

    def changed(self, state: str) -> None:
        """Takes a state as browsers name them."""
        match state:
            case "connected":
                self.close()
                self._on_up()
            case "disconnected" if self._grace_seconds and self._timer is None:
                self._timer = self._later(self._on_lost)
            case "disconnected" if self._timer is None:
                self._on_lost()
            case "failed" | "closed":
                self.close()
                self._on_lost()

    def close(self) -> None:
        """Ends the grace, if one runs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _later(self, call: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._grace_seconds, call)


async def watch_silence(sender: RTCRtpSender, link: Link, clock: Clock) -> None:
    """Tells a link of a client that has stopped to report what it receives, and of its return.

    The library knows no state between standing and failed, and finds out after half a minute;
    clients report about each second, so the time of the last report is looked at.
    """
    before = _Traffic(sent=0, received=0)
    silent_seconds = 0.0
    while True:
        await clock.sleep(LOOK_SECONDS)
        now = await _traffic(sender)
        if now.received != before.received:
            if silent_seconds >= SILENT_SECONDS:
                link.changed("connected")
            silent_seconds = 0.0
        elif now.sent != before.sent and before.received:
            silent_seconds += LOOK_SECONDS
            if silent_seconds == SILENT_SECONDS:
                logger.info("client is silent", seconds=SILENT_SECONDS)
                link.changed("disconnected")
        before = now


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traffic:
    """Packets of media that were sent, and packets of any kind that came."""

    sent: int
    received: int


async def _traffic(sender: RTCRtpSender) -> _Traffic:
    sent = received = 0
    for stats in (await sender.getStats()).values():
        match stats:
            case RTCOutboundRtpStreamStats():
                sent = stats.packetsSent
            case RTCTransportStats():
                received = stats.packetsReceived
    return _Traffic(sent=sent, received=received)
