"""Pictures and frames of one grey each, which tell which is which."""

from av import VideoFrame

from telefuser_grpc.domain.session import Picture
from telefuser_grpc.webrtc.media import frame_of


def grey(shade: int, *, width: int = 64, height: int = 36) -> Picture:
    return Picture(width=width, height=height, rgb=bytes([shade]) * width * height * 3)


def grey_frame(shade: int, *, width: int = 64, height: int = 36) -> VideoFrame:
    return frame_of(grey(shade, width=width, height=height))


def shade_of(frame: VideoFrame) -> int:
    return round(float(frame.to_ndarray(format="rgb24").mean()))
