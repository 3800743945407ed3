"""Reads the session description that a client offers."""

from collections import Counter
from dataclasses import dataclass

import structlog
from aiortc.sdp import MediaDescription, SessionDescription

from telefuser_grpc.errors import OfferRejected

LONGEST = 200_000
MOST_SECTIONS = 16
MOST_CANDIDATES = 100  # each is tried with each address of the server
KINDS = ("audio", "video", "application")
VIDEO_CODECS = ("H264", "VP8")
TOWARDS_CLIENT = ("recvonly", "sendrecv")

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of an offer: its kind, and whether the client receives there."""

    kind: str
    receives: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A description that can be answered, and its sections of media in order."""

    sdp: str
    media: tuple[Section, ...]


def read_offer(sdp: str) -> Offer:
    """Returns what is offered. Raises OfferRejected."""
    if len(sdp) > LONGEST:
        raise OfferRejected(f"the offer has more than {LONGEST} characters")
    sdp = _without_hidden_addresses(sdp)
    description = _parse(sdp)
    sections = description.media
    _check_whole(description)
    for section in sections:
        _check(section)
    media = tuple(
        Section(kind=each.kind, receives=each.direction in TOWARDS_CLIENT)
        for each in sections
        if each.kind != "application"
    )
    if not any(each.kind == "video" and each.receives for each in media):
        raise OfferRejected(
            "the offer has no m=video on which the client receives; add a transceiver for video, "
            "recvonly or sendrecv"
        )
    return Offer(sdp=sdp, media=media)


def _without_hidden_addresses(sdp: str) -> str:
    """Drops candidates that browsers hide behind names that only their own network resolves.

    The browser's own checks tell its address. More candidates are expected then, else the
    connection would count as failed before the first check.
    """
    lines = sdp.splitlines()
    kept = [line for line in lines if not _is_hidden(line)]
    if len(kept) < len(lines):
        kept = [line for line in kept if line.strip() != "a=end-of-candidates"]
    return "".join(f"{line}\r\n" for line in kept)


def _is_hidden(line: str) -> bool:
    words = line.split()
    return line.startswith("a=candidate:") and len(words) > 4 and words[4].endswith(".local")


def _parse(sdp: str) -> SessionDescription:
    try:
        return SessionDescription.parse(sdp)
    except Exception as error:  # the parser fails in any way on what it does not expect
        logger.info("offer not understood", error=type(error).__name__)
        raise OfferRejected("the offer is no session description that can be read") from None


def _check_whole(description: SessionDescription) -> None:
    sections = description.media
    if not sections:
        raise OfferRejected("the offer is no session description: it has no m= lines")
    if len(sections) > MOST_SECTIONS:
        raise OfferRejected(f"the offer has more than {MOST_SECTIONS} m= lines")
    if sum(len(each.ice_candidates) for each in sections) > MOST_CANDIDATES:
        raise OfferRejected(f"the offer has more than {MOST_CANDIDATES} a=candidate lines")
    mids = Counter(each.rtp.muxId for each in sections)
    if len(sections) > 1 and (max(mids.values()) > 1 or "" in mids):
        raise OfferRejected("each m= section of the offer needs an a=mid of its own")
    bundled = [mid for each in description.group if each.semantic == "BUNDLE" for mid in each.items]
    if not set(bundled) <= set(mids):
        raise OfferRejected("a=group:BUNDLE of the offer names an a=mid that no section has")
    if sum(each.kind == "application" for each in sections) > 1:
        raise OfferRejected("the offer has more than one m=application")


def _check(section: MediaDescription) -> None:
    kind = section.kind
    if kind not in KINDS:
        raise OfferRejected(f"m={kind[:32]} is none of audio, video and application")
    if section.dtls is None or not section.dtls.fingerprints:
        raise OfferRejected(f"m={kind} has no a=setup or no a=fingerprint")
    if section.ice is None or not section.ice.usernameFragment or not section.ice.password:
        raise OfferRejected(f"m={kind} has no a=ice-ufrag or no a=ice-pwd")
    if kind == "application":
        if section.sctp_port is None and section.profile != "DTLS/SCTP":
            raise OfferRejected("m=application has no a=sctp-port")
        return
    if not section.rtcp_mux:
        raise OfferRejected(f"m={kind} has no a=rtcp-mux")
    if section.direction is None:
        raise OfferRejected(f"m={kind} says no direction, such as a=recvonly")
    if kind == "video" and not any(each.name in VIDEO_CODECS for each in section.rtp.codecs):
        raise OfferRejected("m=video offers neither H264 nor VP8")
