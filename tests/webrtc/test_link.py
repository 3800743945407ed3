"""A client is gone when its connection failed, or was lost for longer than the grace."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from aiortc.stats import RTCOutboundRtpStreamStats, RTCStats, RTCTransportStats

from telefuser_grpc.webrtc.link import Link, watch_silence
from tests.webrtc.clock import FakeClock

GRACE_SECONDS = 0.02


@dataclass
class Ends:
    """Hears what a link says."""

    ups: int = 0
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    def link(self, grace_seconds: float) -> Link:
        return Link(grace_seconds=grace_seconds, on_up=self.up, on_lost=self.lost.set)

    def up(self) -> None:
        self.ups += 1


@pytest.mark.parametrize("state", ["failed", "closed"])
@pytest.mark.parametrize("grace_seconds", [0, 100])
async def test_failed_connection_is_lost_at_once(state: str, grace_seconds: float) -> None:
    ends = Ends()

    ends.link(grace_seconds).changed(state)

    assert ends.lost.is_set()


async def test_disconnected_is_lost_at_once_without_grace() -> None:
    ends = Ends()

    ends.link(0).changed("disconnected")

    assert ends.lost.is_set()


async def test_disconnected_is_lost_after_the_grace() -> None:
    ends = Ends()
    link = ends.link(GRACE_SECONDS)

    link.changed("connected")
    link.changed("disconnected")
    before = ends.lost.is_set()
    await ends.lost.wait()

    assert not before


async def test_connection_that_recovers_is_not_lost() -> None:
    recovered, other = Ends(), Ends()
    link = recovered.link(GRACE_SECONDS)

    link.changed("disconnected")
    other.link(GRACE_SECONDS).changed("disconnected")
    link.changed("connected")
    await other.lost.wait()

    assert not recovered.lost.is_set()
    assert recovered.ups == 1


async def test_second_disconnected_prolongs_nothing() -> None:
    ends, other = Ends(), Ends()
    link = ends.link(GRACE_SECONDS)

    link.changed("disconnected")
    other.link(GRACE_SECONDS).changed("disconnected")
    link.changed("disconnected")
    await other.lost.wait()

    assert ends.lost.is_set()


async def test_closed_link_says_nothing_more() -> None:
    ends, other = Ends(), Ends()
    link = ends.link(GRACE_SECONDS)
    link.changed("disconnected")
    other.link(GRACE_SECONDS).changed("disconnected")

    link.close()
    await other.lost.wait()

    assert not ends.lost.is_set()


class Unplugged(Exception):
    """There is nothing more to look at."""


@dataclass
class FakeSender:
    """Has sent and received so many packets, look by look."""

    looks: list[tuple[int, int]]

    async def getStats(self) -> dict[str, RTCStats]:
        if not self.looks:
            raise Unplugged
        sent, received = self.looks.pop(0)
        return {"media": outbound(sent), "transport": transport(received)}


def outbound(packets: int) -> RTCOutboundRtpStreamStats:
    return RTCOutboundRtpStreamStats(
        timestamp=datetime.now(UTC),
        type="outbound-rtp",
        id="media",
        ssrc=1,
        kind="video",
        transportId="transport",
        packetsSent=packets,
        bytesSent=0,
        trackId="",
    )


def transport(packets: int) -> RTCTransportStats:
    return RTCTransportStats(
        timestamp=datetime.now(UTC),
        type="transport",
        id="transport",
        packetsSent=0,
        packetsReceived=packets,
        bytesSent=0,
        bytesReceived=0,
        iceRole="controlled",
        dtlsState="connected",
    )


class Heard(Link):
    """Notes the states that it is told."""

    def __init__(self) -> None:
        super().__init__(grace_seconds=100, on_up=list, on_lost=list)
        self.states: list[str] = []

    def changed(self, state: str) -> None:
        self.states.append(state)


@pytest.mark.parametrize(
    ("looks", "states"),
    [
        ([(n, n) for n in range(1, 20)], []),
        ([(1, 1), *[(n, 1) for n in range(2, 7)]], ["disconnected"]),
        ([(1, 1), *[(n, 1) for n in range(2, 20)]], ["disconnected"]),
        ([(1, 1), *[(n, 1) for n in range(2, 6)], (7, 2), *[(n, 2) for n in range(8, 12)]], []),
        ([(1, 1), *[(n, 1) for n in range(2, 8)], (8, 2)], ["disconnected", "connected"]),
        ([(1, 1)] * 20, []),
        ([(n, 0) for n in range(1, 20)], []),
    ],
    ids=[
        "talks",
        "five seconds",
        "told once",
        "short pauses",
        "returns",
        "nothing was sent",
        "never came",
    ],
)
async def test_client_that_reports_nothing_for_five_seconds_is_disconnected(
    looks: list[tuple[int, int]], states: list[str]
) -> None:
    link = Heard()

    with pytest.raises(Unplugged):
        await watch_silence(FakeSender(looks), link, FakeClock())

    assert link.states == states
