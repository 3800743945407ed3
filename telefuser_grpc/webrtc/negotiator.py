"""Answers offers."""

from collections.abc import Iterator
from functools import partial
from itertools import chain

import structlog
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSctpTransport,
    RTCSessionDescription,
)
from aiortc.rtcicetransport import connection_kwargs
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.rtcsctptransport import DataChunk
from aiortc.sdp import SessionDescription

from telefuser_grpc.domain.session import StreamMode
from telefuser_grpc.errors import OfferRejected
from telefuser_grpc.webrtc.audio import AudioTrack
from telefuser_grpc.webrtc.encoding import pin_bitrate
from telefuser_grpc.webrtc.offer import Offer, Section, read_offer
from telefuser_grpc.webrtc.options import WebRtcOptions
from telefuser_grpc.webrtc.pacing import Clock, MonotonicClock
from telefuser_grpc.webrtc.peer import WebRtcPeer
from telefuser_grpc.webrtc.video import VideoTrack

GATHERING_SECONDS = 2
FIRST_PICTURE_SECONDS = 10.0

logger = structlog.get_logger()


class Negotiator:
    """Makes a connection of each offer; it stands some time after the client has the answer."""

    def __init__(self, options: WebRtcOptions, *, clock: Clock | None = None) -> None:
        self._options = options
        self._clock = clock or MonotonicClock()
        self._servers = list(_servers(options))
        connection_kwargs(self._servers)  # fails on an address that is none

    async def connect(
        self, offer_sdp: str, *, session_id: str, mode: StreamMode, fps: float
    ) -> tuple[WebRtcPeer, str]:
        """Returns the client's connection and the answer, which has all candidates.

        Raises:
            OfferRejected: The offer cannot be answered; nothing is left of it.
        """
        offer = read_offer(offer_sdp)
        peer = self._peer(offer, session_id=session_id, mode=mode, fps=fps)
        try:
            return peer, await self._answer(peer, offer, fps=fps)
        except BaseException:
            await peer.close()
            raise

    def _peer(self, offer: Offer, *, session_id: str, mode: StreamMode, fps: float) -> WebRtcPeer:
        pushes = mode is StreamMode.SERVER_PUSH
        video = VideoTrack(
            fps=fps,
            buffer_seconds=self._options.buffer_seconds,
            patience_seconds=FIRST_PICTURE_SECONDS if pushes else 0,
            clock=self._clock,
        )
        hears = any(each.kind == "audio" and each.receives for each in offer.media)
        return WebRtcPeer(
            RTCPeerConnection(RTCConfiguration(iceServers=self._servers)),
            session_id=session_id,
            mode=mode,
            fps=fps,
            video=video,
            audio=AudioTrack(clock=self._clock) if hears else None,
            options=self._options,
            clock=self._clock,
        )

    async def _answer(self, peer: WebRtcPeer, offer: Offer, *, fps: float) -> str:
        connection = peer.connection
        transceivers = [self._transceiver(connection, each, peer.mode) for each in offer.media]
        try:
            await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        except Exception as error:  # the library fails in any way on what it does not expect
            logger.info("offer not accepted", error=type(error).__name__, why=str(error))
            raise OfferRejected(
                "no common codecs and transport; offer H264 or VP8, and Opus for audio"
            ) from None
        sender = _attach(peer, offer, transceivers)
        for transceiver in transceivers:
            _bound_gathering(transceiver)
        if connection.sctp is not None:
            _hold_to_window(connection.sctp)
        await connection.setLocalDescription()
        sdp = connection.localDescription.sdp
        codec = _first_codec(sdp, sender)
        pin_bitrate(sender.sender, codec=codec, bitrate=self._options.bitrate, fps=fps)
        peer.watch(sender.sender)
        logger.info("offer answered", session_id=peer.session_id, codec=codec)
        return sdp

    def _transceiver(
        self, connection: RTCPeerConnection, section: Section, mode: StreamMode
    ) -> RTCRtpTransceiver:
        direction = "inactive" if mode is StreamMode.SERVER_PUSH else "recvonly"
        transceiver = connection.addTransceiver(section.kind, direction)
        if section.kind == "video":
            transceiver.setCodecPreferences(_preferences(self._options.codec))
        return transceiver


def _servers(options: WebRtcOptions) -> Iterator[RTCIceServer]:
    for url in options.stun_servers:
        yield RTCIceServer(urls=url)
    if options.turn_server:
        yield RTCIceServer(
            urls=options.turn_server,
            username=options.turn_username,
            credential=options.turn_credential,
        )


def _preferences(codec: str) -> list[RTCRtpCodecCapability]:
    known = RTCRtpSender.getCapabilities("video").codecs
    repairs = [each for each in known if each.name == "rtx"]
    first = [each for each in known if each.name == codec]
    others = [each for each in known if each not in (*first, *repairs)]
    return list(chain(first, others, repairs))


def _attach(
    peer: WebRtcPeer, offer: Offer, transceivers: list[RTCRtpTransceiver]
) -> RTCRtpTransceiver:
    """Gives each track the first section on which the client receives it."""
    direction = "sendonly" if peer.mode is StreamMode.SERVER_PUSH else "sendrecv"
    attached = {}
    for section, transceiver in zip(offer.media, transceivers, strict=True):
        if section.receives and section.kind not in attached:
            transceiver.sender.replaceTrack(peer.track(section.kind))
            transceiver.direction = direction
            attached[section.kind] = transceiver
    return attached["video"]


def _bound_gathering(transceiver: RTCRtpTransceiver) -> None:
    """Has a server that does not answer waited for less long than the library would.

    The library's limit is an argument that it never gives itself.
    """
    gatherer = transceiver.receiver.transport.transport.iceGatherer
    agent = gatherer._connection  # noqa: SLF001  nothing public leads there
    vars(agent)["get_component_candidates"] = partial(
        type(agent).get_component_candidates, agent, timeout=GATHERING_SECONDS
    )


def _hold_to_window(transport: RTCSctpTransport) -> None:
    """Drops what a client sends beyond the room that it was told of, parts of messages above all.

    The library keeps all of it, as much as there may be.
    """
    receive = transport._receive_data_chunk  # noqa: SLF001  nothing public leads there

    async def receive_within(chunk: DataChunk) -> None:
        if transport._advertised_rwnd > 0:  # noqa: SLF001
            await receive(chunk)

    vars(transport)["_receive_data_chunk"] = receive_within


def _first_codec(answer: str, transceiver: RTCRtpTransceiver) -> str:
    sections = SessionDescription.parse(answer).media
    section = next(each for each in sections if each.rtp.muxId == transceiver.mid)
    return str(section.rtp.codecs[0].name)
