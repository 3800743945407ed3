"""Tells whether this installation speaks WebRTC, whose packages are an extra."""

import logging
from typing import TYPE_CHECKING

from telefuser_grpc.errors import WebRtcNotInstalled
from telefuser_grpc.webrtc.options import WebRtcOptions

if TYPE_CHECKING:
    from telefuser_grpc.webrtc.negotiator import Negotiator


def load_negotiator(options: WebRtcOptions) -> "Negotiator":
    """Returns what answers offers.

    Raises:
        WebRtcNotInstalled
        ValueError: A STUN or TURN server has no usable address.
    """
    try:
        from telefuser_grpc.webrtc.negotiator import Negotiator
    except ModuleNotFoundError:
        raise WebRtcNotInstalled from None
    logging.getLogger("aioice").setLevel(logging.WARNING)  # tells of each address that it tries
    logging.getLogger("aiortc").setLevel(logging.INFO)  # tells of each packet
    return Negotiator(options)
