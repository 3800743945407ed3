"""What sessions carry becomes what codecs take, and back."""

import av
import numpy as np
import pytest

from telefuser_grpc.domain.session import ClientMedia, Picture, Sound
from telefuser_grpc.webrtc.media import MonoResampler, frame_of, media_of
from tests.webrtc.pictures import grey, shade_of


@pytest.mark.parametrize(
    ("size", "even"), [((64, 36), (64, 36)), ((65, 37), (64, 36)), ((1, 1), (2, 2))]
)
def test_frames_have_even_sides(size: tuple[int, int], even: tuple[int, int]) -> None:
    frame = frame_of(grey(77, width=size[0], height=size[1]))

    assert (frame.width, frame.height) == even
    assert frame.format.name == "yuv420p"
    assert shade_of(frame) == pytest.approx(77, abs=2)


def test_rows_of_a_picture_stay_rows() -> None:
    rgb = bytes([255, 0, 0]) * 50 * 2 + bytes([0, 0, 255]) * 50 * 2

    pixels = frame_of(Picture(width=50, height=4, rgb=rgb)).to_ndarray(format="rgb24")

    assert pixels[0, 0].tolist() == pytest.approx([255, 0, 0], abs=4)
    assert pixels[3, 49].tolist() == pytest.approx([0, 0, 255], abs=4)


def test_picture_of_a_camera_has_no_padding() -> None:
    pixels = np.arange(50 * 4 * 3, dtype=np.uint8).reshape(4, 50, 3)

    media = media_of(av.VideoFrame.from_ndarray(pixels, format="rgb24"))

    picture = Picture(width=50, height=4, rgb=pixels.tobytes())
    assert media == ClientMedia(pictures=(picture,))


def test_sound_of_a_microphone_keeps_its_form() -> None:
    frame = av.AudioFrame(format="s16", layout="stereo", samples=7)
    frame.sample_rate = 48_000
    frame.planes[0].update(bytes(range(28)))

    media = media_of(frame)

    assert media.sound == Sound(pcm=bytes(range(28)), sample_rate=48_000, channels=2)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (16_000, 1), (48_000, 2), (24_000, 1)])
def test_sound_of_any_form_lasts_as_long_in_mono_at_48_khz(rate: int, channels: int) -> None:
    resampler = MonoResampler()
    piece = Sound(
        pcm=np.full(rate // 10 * channels, 1000, np.int16).tobytes(),
        sample_rate=rate,
        channels=channels,
    )

    samples = np.frombuffer(b"".join(resampler.convert(piece) for _ in range(10)), np.int16)

    assert len(samples) == pytest.approx(48_000, abs=100)
    assert samples[24_000] == pytest.approx(1000, abs=2)


def test_form_may_change_between_pieces() -> None:
    resampler = MonoResampler()

    first = resampler.convert(Sound(pcm=bytes(3200), sample_rate=16_000))
    second = resampler.convert(Sound(pcm=bytes(3200 * 2), sample_rate=32_000))

    assert len(first) == pytest.approx(9600, abs=100)
    assert len(second) == pytest.approx(9600, abs=100)


@pytest.mark.parametrize("channels", [1, 2])
def test_bytes_that_make_no_sample_are_left_out(channels: int) -> None:
    assert MonoResampler().convert(Sound(pcm=b"\1", channels=channels)) == b""
    assert MonoResampler().convert(Sound(pcm=b"\1\2\3")) == b"\1\2"
