"""Encoders of one connection, whose bitrate is what the operator has said.

The library creates an encoder by itself, of 0.5 to 3 Mbit/s by what the client's network seems to
bear, with limits that are constants of a module, the same for all connections. So a sender is given
its encoder before it needs one.
"""

from aiortc import RTCRtpSender
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import MAX_FRAME_RATE, H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from av import VideoFrame
from av.frame import Frame
from av.video.frame import PictureType


class PinnedH264Encoder(H264Encoder):
    """H264 of a fixed bitrate."""

    def __init__(self, bitrate: int, fps: float) -> None:
        super().__init__()
        # x264 is told of 30 pictures a second, whatever there are, and spends by the picture
        self._bitrate = round(bitrate * MAX_FRAME_RATE / fps)

    @property
    def target_bitrate(self) -> int:
        return self._bitrate

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        """Ignores what the client's network seems to bear."""


class PinnedVp8Encoder(Vp8Encoder):
    """VP8 of a fixed bitrate."""

    def __init__(self, bitrate: int) -> None:
        super().__init__()
        self._bitrate = bitrate

    @property
    def target_bitrate(self) -> int:
        return self._bitrate

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        """Ignores what the client's network seems to bear."""

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        if isinstance(frame, VideoFrame):  # one that was a whole picture may be shown again
            frame.pict_type = PictureType.NONE
        return super().encode(frame, force_keyframe)


def pin_bitrate(sender: RTCRtpSender, *, codec: str, bitrate: int, fps: float) -> None:
    """Gives a sender that has sent nothing yet the encoder of its codec."""
    encoder: Encoder = (
        PinnedVp8Encoder(bitrate) if codec == "VP8" else PinnedH264Encoder(bitrate, fps)
    )
    vars(sender)["_RTCRtpSender__encoder"] = encoder
