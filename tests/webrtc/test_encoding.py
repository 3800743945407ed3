"""The bitrate is the operator's, whatever the codec, the rate and the network."""

from fractions import Fraction

import numpy as np
import pytest
from aiortc.codecs.base import Encoder
from av import VideoFrame

from telefuser_grpc.webrtc.encoding import PinnedH264Encoder, PinnedVp8Encoder
from tests.webrtc.pictures import grey_frame

BITRATE = 2_000_000


def noise(count: int) -> list[VideoFrame]:
    random = np.random.default_rng(1)
    pixels = random.integers(0, 255, (count, 180, 320, 3), dtype=np.uint8)
    return [VideoFrame.from_ndarray(each, format="rgb24") for each in pixels]


def encoded_length(encoder: Encoder, frame: VideoFrame, number: int, fps: int) -> int:
    frame.pts, frame.time_base = number * 90_000 // fps, Fraction(1, 90_000)
    return sum(map(len, encoder.encode(frame, False)[0]))


@pytest.mark.parametrize("fps", [8, 16, 30])
@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_noise_takes_about_the_bitrate(codec: str, fps: int) -> None:
    encoder = PinnedVp8Encoder(BITRATE) if codec == "VP8" else PinnedH264Encoder(BITRATE, fps)
    frames = noise(5)

    lengths = [encoded_length(encoder, frames[n % 5], n, fps) for n in range(3 * fps)]

    assert sum(lengths[fps:]) * 8 / 2 == pytest.approx(BITRATE, rel=0.4)


@pytest.mark.parametrize("encoder", [PinnedVp8Encoder(BITRATE), PinnedH264Encoder(BITRATE, 30)])
def test_network_does_not_change_the_bitrate(encoder: PinnedVp8Encoder | PinnedH264Encoder) -> None:
    encoder.target_bitrate = 100_000

    assert encoder.target_bitrate == BITRATE


def test_picture_that_was_sent_whole_is_not_sent_whole_again() -> None:
    encoder, frame = PinnedVp8Encoder(BITRATE), grey_frame(100, width=640, height=360)
    frame.pts, frame.time_base = 0, Fraction(1, 90_000)

    whole = encoder.encode(frame, True)
    frame.pts = 5625
    again = encoder.encode(frame, False)

    assert [is_whole(whole[0]), is_whole(again[0])] == [True, False]


def is_whole(payloads: list[bytes]) -> bool:
    """Tells a key frame of VP8, by the first bit after the payload descriptor."""
    return not payloads[0][4] & 1
