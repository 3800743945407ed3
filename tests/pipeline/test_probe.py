"""A file is decoded and its facts told; one that cannot be used is refused with its fault."""

import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from telefuser_grpc.domain.artifact import MediaFacts
from telefuser_grpc.pipeline.probe import ProbeLimits, Undecodable, probe
from tests.fakes import media_files


def write_clip(path: Path, codec: str, container: str, *, frames: int = 6) -> None:
    """Writes a moving pattern of 32x16 pixels, 8 frames a second."""
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for index in range(frames):
            pixels = np.full((16, 32, 3), index * 9, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        out.mux(stream.encode(None))


def write_sound(path: Path, codec: str, container: str, *, rate: int = 8000) -> None:
    """Writes half a second of a tone."""
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        tone = np.sin(np.arange(rate // 2) / 9).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.rate = rate
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size
        )
        for each in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(stream.encode(each))
        out.mux(stream.encode(None))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_still_has_one_frame_and_no_seconds(tmp_path: Path, file_format: str) -> None:
    path = tmp_path / "file.mp4"
    path.write_bytes(media_files.still(file_format, width=8, height=6))

    assert probe(path) == MediaFacts(
        content_type=f"image/{file_format.lower()}", width=8, height=6, frame_count=1
    )


def test_an_animation_has_frames_and_seconds(tmp_path: Path) -> None:
    path = tmp_path / "file"
    first, *others = [Image.new("RGB", (8, 6), (index * 60, 0, 0)) for index in range(4)]
    first.save(path, "GIF", save_all=True, append_images=others, duration=100)

    facts = probe(path)

    assert (facts.frame_count, facts.duration_seconds) == (4, pytest.approx(0.4))


@pytest.mark.parametrize(
    ("codec", "container", "content_type"),
    [
        ("libx264", "mp4", "video/mp4"),
        ("libx264", "mov", "video/quicktime"),
        ("libvpx-vp9", "webm", "video/webm"),
        ("libx264", "matroska", "video/matroska"),
        ("mpeg4", "avi", "video/vnd.avi"),
    ],
)
@pytest.mark.parametrize("decoded_pixels", [None, 500, 10**9])
def test_a_clip_has_its_frames_and_seconds(
    tmp_path: Path, codec: str, container: str, content_type: str, decoded_pixels: int | None
) -> None:
    path = tmp_path / "file.png"
    write_clip(path, codec, container)

    facts = probe(path, limits=ProbeLimits(decoded_pixels=decoded_pixels))

    assert facts == MediaFacts(
        content_type=content_type,
        width=32,
        height=16,
        frame_count=6,
        duration_seconds=pytest.approx(0.75, abs=0.01),
    )


@pytest.mark.parametrize(
    ("codec", "container", "content_type", "rate"),
    [
        ("pcm_s16le", "wav", "audio/vnd.wave", 8000),
        ("flac", "flac", "audio/flac", 8000),
        ("libmp3lame", "mp3", "audio/mpeg", 8000),
        ("libopus", "ogg", "audio/ogg", 48000),
        ("aac", "mp4", "audio/mp4", 8000),
    ],
)
def test_a_sound_has_seconds_and_no_pixels(
    tmp_path: Path, codec: str, container: str, content_type: str, rate: int
) -> None:
    path = tmp_path / "file"
    write_sound(path, codec, container, rate=rate)

    facts = probe(path)

    assert (facts.content_type, facts.width, facts.frame_count) == (content_type, 0, 0)
    assert facts.duration_seconds == pytest.approx(0.5, abs=0.2)


def test_a_flash_video_is_read_although_its_own_header_miscounts_its_seconds(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    write_clip(path, "libx264", "flv")

    facts = probe(path)

    assert (facts.content_type, facts.width, facts.height) == ("video/x-flv", 32, 16)
    assert facts.frame_count == 6
    assert facts.duration_seconds == pytest.approx(0.75, abs=0.3)


@pytest.mark.parametrize("with_sound", [True, False])
def test_a_clip_tells_whether_it_has_sound(tmp_path: Path, with_sound: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(media_files.mp4(with_sound=with_sound))

    assert probe(path).has_sound is with_sound


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "GIF"])
def test_the_frames_of_an_animation_are_decoded_up_to_a_budget(
    tmp_path: Path, file_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    frames = [Image.new("RGB", (8, 6), (index * 20, 0, 0)) for index in range(10)]
    frames[0].save(path, file_format, save_all=True, append_images=frames[1:], duration=100)
    limits = ProbeLimits(decoded_pixels=3 * 8 * 6)
    sought: list[int] = []
    with Image.open(path) as image:
        plugin = type(image)
    seek = plugin.seek

    def noting(image: Image.Image, frame: int) -> None:
        sought.append(frame)
        seek(image, frame)

    monkeypatch.setattr(plugin, "seek", noting)

    facts = probe(path, limits=limits)

    assert (facts.frame_count, facts.duration_seconds) == (10, pytest.approx(1.0))
    assert max(sought) == 3


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "GIF"])
def test_an_animation_of_too_many_frames_is_refused(tmp_path: Path, file_format: str) -> None:
    path = tmp_path / "file"
    frames = [Image.new("RGB", (8, 6), (index * 20, 0, 0)) for index in range(10)]
    frames[0].save(path, file_format, save_all=True, append_images=frames[1:], duration=100)

    with pytest.raises(Undecodable, match="has more than 9 frames"):
        probe(path, limits=ProbeLimits(max_frames=9))


def _chunk_flood(count: int) -> bytes:
    content = media_files.still("PNG")
    empty = b"\0\0\0\0prVt" + zlib.crc32(b"prVt").to_bytes(4, "big")
    return content[:33] + empty * count + content[33:]


def _marker_flood(count: int) -> bytes:
    content = media_files.still("JPEG")
    return content[:2] + b"\xff\xfe\0\2" * count + content[2:]


def _frame_flood(count: int) -> bytes:
    content = media_files.still("GIF")
    frame = content[content.index(b",") : -1]
    return content[:-1] + frame * count + b";"


def _metadata_flood(size: int) -> bytes:
    content = media_files.still("JPEG")
    segment = b"\xff\xe1\xff\xffExif\0\0" + bytes(65527)
    return content[:2] + segment * (size // len(segment) + 1) + content[2:]


@pytest.mark.parametrize(
    ("flood", "count"),
    [
        (_chunk_flood, 300_000),
        (_marker_flood, 300_000),
        (_frame_flood, 300_000),
        (_metadata_flood, 17 * 2**20),
    ],
)
def test_an_image_of_countless_pieces_is_refused_before_it_keeps_the_server_busy(
    tmp_path: Path, flood: Callable[[int], bytes], count: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(flood(count))

    with pytest.raises(Undecodable, match="far more than a picture"):
        probe(path)


@pytest.mark.parametrize("flood", [_chunk_flood, _marker_flood, _frame_flood, _metadata_flood])
def test_an_image_of_many_pieces_is_taken(tmp_path: Path, flood: Callable[[int], bytes]) -> None:
    path = tmp_path / "file"
    path.write_bytes(flood(1000))

    assert (probe(path).width, probe(path).height) == (8, 6)


def _truncated_mp4(path: Path) -> None:
    content = media_files.mp4()
    path.write_bytes(content[: len(content) // 2])


def _cut_off_mp4(path: Path) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as out:
        stream = out.add_stream("libx264", rate=8, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        noise = np.random.default_rng(0)
        for _ in range(30):
            pixels = noise.integers(0, 255, (64, 64, 3), np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        out.mux(stream.encode(None))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _broken_png(path: Path) -> None:
    content = bytearray(media_files.still("PNG"))
    content[45] ^= 0xFF
    path.write_bytes(content)


UNUSABLE = [
    (lambda path: None, "cannot be read: No such file or directory"),
    (lambda path: path.write_bytes(b""), "is empty"),
    (lambda path: path.write_bytes(b"#EXTM3U\nfile:///etc/passwd"), "is no image, video or audio"),
    (lambda path: path.write_bytes(b"<svg/>"), "is an SVG drawing or other XML; send it drawn"),
    (lambda path: path.write_bytes(b"text that calls itself a picture"), "is no image, video or"),
    (lambda path: path.write_bytes(media_files.still("JPEG")[:-90]), "is damaged"),
    (lambda path: path.write_bytes(media_files.png_bomb()), "has far too many pixels"),
    (
        lambda path: path.write_bytes(media_files.png_bomb(width=8192, height=8192)),
        "is 8192x8192 pixels large, at most 64000000 pixels allowed",
    ),
    (_truncated_mp4, "is damaged|has neither pictures nor sound"),
    (_cut_off_mp4, "is cut off|is damaged"),
    (_broken_png, "is damaged"),
]


@pytest.mark.parametrize(("make", "message"), UNUSABLE)
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "file"
    make(path)

    with pytest.raises(Undecodable, match=message) as raised:
        probe(path)

    assert str(tmp_path) not in raised.value.message


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ProbeLimits(max_bytes=100), "bytes, at most 100 allowed"),
        (ProbeLimits(max_frames=5), "has more than 5 frames"),
        (ProbeLimits(max_pixels=100), "is 32x16 pixels large"),
    ],
)
def test_a_clip_beyond_the_limits_is_refused(
    tmp_path: Path, limits: ProbeLimits, message: str
) -> None:
    path = tmp_path / "file"
    write_clip(path, "libx264", "mp4")

    with pytest.raises(Undecodable, match=message):
        probe(path, limits=limits)
