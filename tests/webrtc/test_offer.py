"""Offers that cannot be answered are refused with a sentence that says why."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telefuser_grpc.errors import OfferRejected
from telefuser_grpc.webrtc.offer import MOST_CANDIDATES, Section, read_offer

HEAD = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n"
TRANSPORT = (
    "c=IN IP4 0.0.0.0\na=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\n"
    "a=fingerprint:sha-256 00:11\na=setup:actpass\n"
)
VIDEO = (
    f"m=video 9 UDP/TLS/RTP/SAVPF 97\n{TRANSPORT}a=mid:0\na=recvonly\na=rtcp-mux\n"
    "a=rtpmap:97 VP8/90000\n"
)
AUDIO = (
    f"m=audio 9 UDP/TLS/RTP/SAVPF 96\n{TRANSPORT}a=mid:1\na=recvonly\na=rtcp-mux\n"
    "a=rtpmap:96 opus/48000/2\n"
)
DATA = f"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n{TRANSPORT}a=mid:2\na=sctp-port:5000\n"
HIDDEN = (
    "a=candidate:1 1 udp 2113937151 6d1e0f3c-0b1f-4bd2-a1f0-0c7c9a2f7b11.local 50000 typ host\n"
)
PLAIN = "a=candidate:2 1 udp 2113937151 192.0.2.7 50000 typ host\n"
WHOLE = HEAD + "a=group:BUNDLE 0 1 2\n" + VIDEO + AUDIO + DATA


def test_media_are_read_in_order() -> None:
    offer = read_offer(HEAD + AUDIO.replace("recvonly", "sendonly") + VIDEO + DATA)

    assert offer.media == (
        Section(kind="audio", receives=False),
        Section(kind="video", receives=True),
    )


@pytest.mark.parametrize(
    ("sdp", "why"),
    [
        ("", "no m= lines"),
        ("hello", "no m= lines"),
        ("\0\ud800", "no m= lines"),
        ("m=video", "can be read"),
        (HEAD + VIDEO.replace(" 97\n", " x\n"), "can be read"),
        (HEAD + VIDEO.replace("actpass", "sideways"), "can be read"),
        (HEAD + DATA, "no m=video"),
        (HEAD + AUDIO, "no m=video"),
        (HEAD + VIDEO.replace("recvonly", "sendonly"), "no m=video on which the client receives"),
        (HEAD + VIDEO.replace("recvonly", "inactive"), "no m=video on which the client receives"),
        (HEAD + VIDEO.replace("a=recvonly\n", ""), "m=video says no direction"),
        (HEAD + VIDEO.replace("VP8", "AV1"), "neither H264 nor VP8"),
        (HEAD + VIDEO.replace("a=rtcp-mux\n", ""), "no a=rtcp-mux"),
        (HEAD + VIDEO.replace("a=setup:actpass\n", ""), "no a=setup"),
        (HEAD + VIDEO.replace("a=fingerprint:sha-256 00:11\n", ""), "no a=fingerprint"),
        (HEAD + VIDEO.replace("a=ice-ufrag:abcd\n", ""), "no a=ice-ufrag"),
        (HEAD + VIDEO + DATA.replace("a=sctp-port:5000\n", ""), "no a=sctp-port"),
        (HEAD + VIDEO + DATA + DATA.replace("a=mid:2", "a=mid:3"), "more than one m=application"),
        (HEAD + VIDEO + VIDEO, "an a=mid of its own"),
        (WHOLE + DATA.replace("application", "text").replace("mid:2", "mid:3"), "m=text is none"),
        (HEAD + "".join(VIDEO.replace("mid:0", f"mid:{n}") for n in range(17)), "16 m= lines"),
        (HEAD + "a=group:BUNDLE 7 0\n" + VIDEO, "a=group:BUNDLE of the offer names"),
        (WHOLE + "a=x\n" * 60_000, "characters"),
    ],
)
def test_offer_that_cannot_be_answered_is_refused_with_the_reason(sdp: str, why: str) -> None:
    with pytest.raises(OfferRejected) as refused:
        read_offer(sdp)

    assert refused.value.message.startswith("SDP negotiation failed: ")
    assert why in refused.value.message
    assert len(refused.value.message) < 200


def test_addresses_that_a_browser_hides_are_left_out_and_more_are_expected() -> None:
    offer = read_offer(WHOLE + HIDDEN + PLAIN + "a=end-of-candidates\n")

    assert PLAIN.strip() in offer.sdp
    assert ".local" not in offer.sdp
    assert "end-of-candidates" not in offer.sdp


def test_end_of_plain_addresses_is_kept() -> None:
    assert "a=end-of-candidates" in read_offer(WHOLE + PLAIN + "a=end-of-candidates\n").sdp


LINES = WHOLE.splitlines()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_text_breaks_the_reading(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        words = st.sampled_from(["", "m=", "a=mid:", "a=rtpmap:97 ", "m=video 0 RTP 97", *LINES])
        lines[place] = data.draw(words) + data.draw(st.text(max_size=6))

    with suppress(OfferRejected):
        read_offer("\n".join(lines))


def test_candidates_that_would_keep_the_server_busy_are_refused() -> None:
    read_offer(WHOLE + PLAIN * MOST_CANDIDATES)

    with pytest.raises(OfferRejected, match="more than 100 a=candidate lines"):
        read_offer(WHOLE + PLAIN * (MOST_CANDIDATES + 1))
