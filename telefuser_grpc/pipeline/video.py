"""Writes clips as MP4 and WebM."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from telefuser_grpc.errors import OutputInvalid
from telefuser_grpc.pipeline.rendering import Audio

MAX_FPS = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """A video encoder with its options."""

    name: str
    options: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A file format: its video encoders, the best first, and its audio encoder."""

    name: str
    options: dict[str, str]
    video: tuple[Codec, ...]
    audio: str
    audio_rates: tuple[int, ...]


MP4 = Container(
    name="mp4",
    options={"movflags": "+faststart"},
    video=(
        Codec(name="libx264", options={"preset": "veryfast", "crf": "20"}),
        Codec(name="mpeg4", options={"qmin": "2", "qmax": "5"}),
    ),
    audio="aac",
    audio_rates=(16000, 22050, 24000, 32000, 44100, 48000),
)
WEBM = Container(
    name="webm",
    options={},
    video=(
        Codec(
            name="libvpx-vp9",
            options={"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0"},
        ),
        Codec(name="libvpx", options={"deadline": "realtime", "cpu-used": "8", "crf": "10"}),
    ),
    audio="libopus",
    audio_rates=(48000,),
)


def write_video(
    path: Path, frames: Iterable[Any], *, fps: float, audio: Audio | None, container: Container
) -> None:
    """Encodes RGB frames, and sound, into a file.

    An odd last row or column, which 4:2:0 cannot hold, is left away.

    Raises:
        OutputInvalid: The rate, the frames or the sound cannot be encoded.
    """
    import av  # not needed by tasks without clips

    rate = frame_rate(fps)
    try:
        with av.open(str(path), "w", format=container.name, options=container.options) as out:
            sound = None if audio is None else _add_sound(out, audio, container)
            _encode_frames(out, frames, rate, container)
            if audio is not None:
                _encode_sound(out, sound, audio)
    except av.FFmpegError as error:
        raise OutputInvalid(f"The clip cannot be encoded: {error.strerror}") from error


def frame_rate(fps: float) -> Fraction:
    """Returns a rate as the fraction that containers store. Raises OutputInvalid."""
    if not 0 < fps <= MAX_FPS:
        raise OutputInvalid(f"{fps:g} frames per second cannot be encoded; at most {MAX_FPS:g}")
    return Fraction(fps).limit_denominator(1001)


def _encode_frames(out: Any, frames: Iterable[Any], rate: Fraction, container: Container) -> None:
    stream = None
    for index, pixels in enumerate(frames):
        even = _even(pixels)
        stream = stream or _add_picture(out, even, rate, container)
        out.mux(stream.encode(_frame(even, index, rate)))
    if stream is not None:
        out.mux(stream.encode(None))


def _even(pixels: Any) -> Any:
    """Cuts a frame to even sides; a side of one pixel is doubled."""
    for axis in (0, 1):
        if pixels.shape[axis] == 1:
            pixels = pixels.repeat(2, axis=axis)
    return pixels[: pixels.shape[0] & ~1, : pixels.shape[1] & ~1]


def _add_picture(out: Any, pixels: Any, rate: Fraction, container: Container) -> Any:
    codec = _available(container.video)
    stream = out.add_stream(codec.name, rate=rate, options=codec.options)
    stream.height, stream.width = pixels.shape[:2]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
    return stream


def _available(codecs: tuple[Codec, ...]) -> Codec:
    import av  # loaded already

    for codec in codecs:
        if codec.name in av.codecs_available:
            return codec
    raise OutputInvalid(
        f"No encoder is installed; one of {[each.name for each in codecs]} is needed"
    )


def _frame(pixels: Any, index: int, rate: Fraction) -> Any:
    import av  # loaded already
    import numpy as np

    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame = rgb.reformat(format="yuv420p", dst_colorspace="ITU709")
    frame.pts = index
    frame.time_base = 1 / rate
    return frame


def _add_sound(out: Any, audio: Audio, container: Container) -> Any:
    rate = audio.rate if audio.rate in container.audio_rates else 48000
    layout = "mono" if len(_channels(audio)) == 1 else "stereo"
    return out.add_stream(container.audio, rate=rate, layout=layout)


def _encode_sound(out: Any, stream: Any, audio: Audio) -> None:
    layout = stream.layout.name
    samples = _resampled(_channels(audio), audio.rate, stream.rate, layout)
    out.mux(stream.encode(_sound_frame(samples, stream.rate, layout)))
    out.mux(stream.encode(None))


def _resampled(samples: Any, rate: int, wanted_rate: int, layout: str) -> Any:
    """Brings samples to a rate in one piece: AAC takes no short block but the last."""
    import av  # loaded already
    import numpy as np

    if rate == wanted_rate:
        return samples
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=wanted_rate)
    frames = [*resampler.resample(_sound_frame(samples, rate, layout)), *resampler.resample(None)]
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1)


def _sound_frame(samples: Any, rate: int, layout: str) -> Any:
    import av  # loaded already

    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    frame.rate = rate
    return frame


def _channels(audio: Audio) -> Any:
    """Returns samples as (1 or 2, n) of float32 within -1 to 1."""
    import numpy as np  # loaded already

    samples = np.asarray(audio.samples)
    if np.issubdtype(samples.dtype, np.integer):
        samples = samples / np.iinfo(samples.dtype).max
    if samples.ndim == 3 and samples.shape[0] == 1:
        samples = samples[0]
    samples = np.atleast_2d(samples)
    if samples.ndim != 2 or samples.size == 0 or not np.isfinite(samples).all():
        raise OutputInvalid(f"Sound of the shape {samples.shape} cannot be encoded")
    if samples.shape[0] > samples.shape[1]:
        samples = samples.T
    if samples.shape[0] > 2:
        raise OutputInvalid(f"Sound of {samples.shape[0]} channels cannot be encoded; at most 2")
    return np.ascontiguousarray(samples.clip(-1, 1), dtype=np.float32)
