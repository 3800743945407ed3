"""Answers say what is sent, and an offer that fails leaves nothing open."""

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from aioice.ice import get_host_addresses
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk
from aiortc.sdp import MediaDescription, SessionDescription

from telefuser_grpc.errors import OfferRejected, WebRtcNotInstalled
from telefuser_grpc.webrtc import negotiator as negotiation
from telefuser_grpc.webrtc.availability import load_negotiator
from telefuser_grpc.webrtc.encoding import PinnedH264Encoder, PinnedVp8Encoder
from telefuser_grpc.webrtc.negotiator import Negotiator
from telefuser_grpc.webrtc.options import Codec, WebRtcOptions
from telefuser_grpc.webrtc.peer import WebRtcPeer
from tests.fakes.open_files import open_files
from tests.fakes.webrtc_client import webrtc_client
from tests.webrtc.dialling import BIDIRECTIONAL, SERVER_PUSH, dialled


def sections(answer: str) -> dict[str, MediaDescription]:
    return {each.kind: each for each in SessionDescription.parse(answer).media}


@pytest.fixture
async def offer() -> AsyncIterator[str]:
    async with webrtc_client() as client:
        yield await client.offer()


async def answer_to(offer: str, options: WebRtcOptions | None = None) -> str:
    peer, answer = await Negotiator(options or WebRtcOptions()).connect(
        offer, session_id="s", mode=BIDIRECTIONAL, fps=20
    )
    await peer.close()
    return answer


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_codec_of_the_operator_comes_first_and_repairs_go_with_each(
    offer: str, codec: Codec
) -> None:
    answer = await answer_to(offer, WebRtcOptions(codec=codec))

    names = [each.name for each in sections(answer)["video"].rtp.codecs if each.name != "rtx"]
    repairs = [each for each in sections(answer)["video"].rtp.codecs if each.name == "rtx"]
    others = {"H264": ["H264", "H264", "VP8"], "VP8": ["VP8", "H264", "H264"]}
    assert names == others[codec]
    assert len(repairs) == 3


@pytest.mark.parametrize(
    ("codec", "encoder", "bitrate"),
    [("H264", PinnedH264Encoder, 3_000_000), ("VP8", PinnedVp8Encoder, 2_000_000)],
)
async def test_video_is_sent_with_the_bitrate_of_the_operator(
    codec: Codec, encoder: type, bitrate: int
) -> None:
    options = WebRtcOptions(codec=codec, bitrate=2_000_000)
    async with dialled(BIDIRECTIONAL, options, fps=20) as line:
        await line.client.sees(2)
        sender = line.peer.connection.getSenders()[0]

        used = vars(sender)["_RTCRtpSender__encoder"]

        assert isinstance(used, encoder)
        assert used.codec.bit_rate == bitrate  # x264 counts as if there were 30 pictures a second


async def test_only_codec_of_the_client_is_used(offer: str) -> None:
    plain = offer.replace("H264/90000", "H265/90000")

    codecs = sections(await answer_to(plain))["video"].rtp.codecs

    assert codecs[0].name == "VP8"


@pytest.mark.parametrize("mode", [BIDIRECTIONAL, SERVER_PUSH])
async def test_audio_is_sent_where_it_was_offered(mode: object) -> None:
    async with dialled(mode, audio=True) as line:
        with_audio = sections(line.answer)
    async with dialled(mode) as line:
        without_audio = sections(line.answer)

    assert with_audio["audio"].direction == "sendonly"
    assert with_audio["audio"].rtp.codecs[0].name == "opus"
    assert "audio" not in without_audio


async def test_answer_has_all_candidates(offer: str) -> None:
    video = sections(await answer_to(offer))["video"]

    assert video.ice_candidates
    assert video.ice_candidates_complete


async def test_video_goes_where_the_client_receives_it() -> None:
    async with webrtc_client() as client:
        client.connection.addTransceiver("video", "recvonly")
        client.connection.getTransceivers()[0].direction = "sendonly"
        offered = await client.offer()

        media = SessionDescription.parse(await answer_to(offered)).media

    assert [each.direction for each in media[:2]] == ["recvonly", "sendonly"]


async def test_hidden_addresses_do_not_delay_and_do_not_fail(offer: str) -> None:
    lines = [
        f"a=candidate:1 1 udp 1 {'0' * 8}-0000.local {line.split()[5]} typ host"
        if line.startswith("a=candidate:")
        else line
        for line in offer.splitlines()
    ]
    start = time.monotonic()

    await answer_to("\r\n".join(lines) + "\r\n")

    assert time.monotonic() - start < 1


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes requests and never answers."""
    address = get_host_addresses(use_ipv4=True, use_ipv6=False)[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((address, 0))
        yield f"{address}:{listener.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["stun", "turn"])
async def test_server_that_does_not_answer_is_not_waited_for_long(
    offer: str, silent_server: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(negotiation, "GATHERING_SECONDS", 0.1)
    url = f"{kind}:{silent_server}"
    options = (
        WebRtcOptions(stun_servers=(url,))
        if kind == "stun"
        else WebRtcOptions(turn_server=url, turn_username="u", turn_credential="c")
    )
    start = time.monotonic()

    answer = await answer_to(offer, options)

    assert time.monotonic() - start < 2
    assert sections(answer)["video"].ice_candidates


@pytest.mark.parametrize("url", ["", "google.com", "http://a", "stun:a?transport=udp"])
def test_address_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="malformed uri"):
        Negotiator(WebRtcOptions(stun_servers=(url,)))


def test_credential_is_not_shown() -> None:
    assert "secret" not in repr(WebRtcOptions(turn_credential="secret"))


async def test_offer_without_any_line_of_it_is_answered_or_refused(offer: str) -> None:
    lines = offer.splitlines()
    files = open_files()

    for place in range(len(lines)):
        mutilated = "\r\n".join([*lines[:place], *lines[place + 1 :]]) + "\r\n"
        with suppress(OfferRejected):
            await answer_to(mutilated)

    others = asyncio.all_tasks() - {asyncio.current_task()}
    _, pending = await asyncio.wait(others, timeout=5) if others else ((), ())
    assert not pending
    assert not open_files() - files


async def test_refused_offer_closes_its_connection(
    offer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[WebRtcPeer] = []
    close = WebRtcPeer.close

    async def note(peer: WebRtcPeer) -> None:
        closed.append(peer)
        await close(peer)

    monkeypatch.setattr(WebRtcPeer, "close", note)
    bare = offer.replace("packetization-mode=1", "packetization-mode=0").replace("VP8", "VP7")

    with pytest.raises(OfferRejected, match="H264 or VP8"):
        await answer_to(bare)

    assert [peer.connection.connectionState for peer in closed] == ["closed"]


def test_installation_without_the_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "telefuser_grpc.webrtc.negotiator")
    monkeypatch.setitem(sys.modules, "aiortc", None)

    with pytest.raises(WebRtcNotInstalled):
        load_negotiator(WebRtcOptions())


def test_installation_with_the_library_has_a_negotiator_whose_library_is_quiet() -> None:
    assert isinstance(load_negotiator(WebRtcOptions()), Negotiator)

    assert not logging.getLogger("aioice.ice").isEnabledFor(logging.INFO)
    assert not logging.getLogger("aiortc.rtcrtpsender").isEnabledFor(logging.DEBUG)


def test_library_is_loaded_only_where_a_negotiator_is_asked_for() -> None:
    script = (
        "import sys, telefuser_grpc.webrtc.availability;"
        "sys.exit(bool({'aiortc', 'av', 'numpy'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


async def test_client_that_never_ends_a_message_fills_a_window_and_no_more(offer: str) -> None:
    peer, _ = await Negotiator(WebRtcOptions()).connect(
        offer, session_id="s", mode=BIDIRECTIONAL, fps=20
    )
    transport = peer.connection.sctp
    transport._last_received_tsn = 0
    window = transport._advertised_rwnd

    for number in range(2 * window // 1000):
        part = DataChunk(flags=SCTP_DATA_FIRST_FRAG if number == 0 else 0)
        part.tsn, part.user_data = number + 1, bytes(1000)
        await transport._receive_data_chunk(part)
    kept = sum(len(part.user_data) for part in transport._inbound_streams[0].reassembly)
    await peer.close()

    assert window <= kept < window + 1000
