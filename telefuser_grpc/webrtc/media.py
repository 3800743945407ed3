"""Turns what sessions carry into what codecs take, and back."""

from typing import Any

import av
import numpy as np
from av.frame import Frame
from av.packet import Packet

from telefuser_grpc.domain.session import ClientMedia, Picture, Sound

SAMPLE_RATE = 48_000
BYTES_OF_SAMPLE = 2
SMALLEST_SIDE = 2


def frame_of(picture: Picture) -> av.VideoFrame:
    """Returns a picture as encoders take it, with even sides."""
    pixels = np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
        width=_even(picture.width), height=_even(picture.height), format="yuv420p"
    )


def black(width: int, height: int) -> av.VideoFrame:
    """Returns a picture on which there is nothing."""
    return frame_of(Picture(width=width, height=height, rgb=bytes(width * height * 3)))


def mono_frame(pcm: bytes) -> av.AudioFrame:
    """Returns samples of one channel at 48 kHz as encoders take them."""
    return _sound_frame(Sound(pcm=pcm, sample_rate=SAMPLE_RATE, channels=1))


def media_of(frame: "Frame | Packet[Any]") -> ClientMedia:
    """Returns a decoded piece of a client's track."""
    match frame:
        case av.VideoFrame():
            return ClientMedia(pictures=(_picture(frame),))
        case av.AudioFrame():
            return ClientMedia(sound=_sound(frame))
    return ClientMedia()


class MonoResampler:
    """Brings sound to one channel at 48 kHz, piece by piece, without a seam."""

    def __init__(self) -> None:
        self._form: tuple[int, int] | None = None
        self._resampler = self._new_resampler()

    def convert(self, sound: Sound) -> bytes:
        """Returns the samples of a piece; a few may come with the next one."""
        form = (sound.sample_rate, sound.channels)
        if form == (SAMPLE_RATE, 1):
            return sound.pcm[: len(sound.pcm) // BYTES_OF_SAMPLE * BYTES_OF_SAMPLE]
        if form != self._form:
            self._form, self._resampler = form, self._new_resampler()
        if len(sound.pcm) < BYTES_OF_SAMPLE * sound.channels:
            return b""
        return b"".join(map(_samples, self._resampler.resample(_sound_frame(sound))))

    def _new_resampler(self) -> av.AudioResampler:
        return av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)


def _even(side: int) -> int:
    return max(SMALLEST_SIDE, side - side % 2)


def _sound_frame(sound: Sound) -> av.AudioFrame:
    count = len(sound.pcm) // (BYTES_OF_SAMPLE * sound.channels)
    frame = av.AudioFrame(format="s16", layout=f"{sound.channels}c", samples=count)
    frame.sample_rate = sound.sample_rate
    frame.planes[0].update(sound.pcm[: count * BYTES_OF_SAMPLE * sound.channels])
    return frame


def _samples(frame: av.AudioFrame) -> bytes:
    length = frame.samples * frame.layout.nb_channels * BYTES_OF_SAMPLE
    return bytes(frame.planes[0])[:length]  # a plane ends with padding


def _picture(frame: av.VideoFrame) -> Picture:
    rgb = frame.to_ndarray(format="rgb24").tobytes()
    return Picture(width=frame.width, height=frame.height, rgb=rgb)


def _sound(frame: av.AudioFrame) -> Sound:
    channels = frame.layout.nb_channels
    return Sound(pcm=_samples(frame), sample_rate=frame.sample_rate, channels=channels)
