"""Frames become files that decode again; what no file can be made of is refused."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from telefuser_grpc.domain.artifact import OutputFile
from telefuser_grpc.domain.job import RunReport
from telefuser_grpc.errors import OutOfMemory, OutputInvalid
from telefuser_grpc.pipeline import encode as encode_module
from telefuser_grpc.pipeline.encode import encode
from telefuser_grpc.pipeline.probe import probe
from telefuser_grpc.pipeline.rendering import Audio, Rendering
from tests.fakes import media_files
from tests.fakes.pipelines import make_job

REPORT = RunReport(inference_seconds=1.0)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [250, 250, 250]], np.uint8)


def clip(*, frames: int = 4, height: int = 48, width: int = 64) -> Any:
    """Makes frames of one colour each."""
    return np.broadcast_to(
        COLOURS[np.arange(frames) % 4, None, None], (frames, height, width, 3)
    ).copy()


def save(folder: Path, name: str, frames: Any, **options: Any) -> list[OutputFile]:
    """Encodes frames, as images where the name is one of an image."""
    suffix = name.rpartition(".")[2]
    media_type = "image" if suffix in ("png", "jpg", "jpeg", "webp") else "video"
    rendering = Rendering(report=REPORT, frames=frames, **{"fps": 8.0, **options})
    return encode(rendering, make_job(folder, output_name=name, media_type=media_type))


def decode(file: OutputFile) -> list[Any]:
    """Returns the frames of a clip as arrays."""
    with av.open(file.path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("c.mp4", "video/mp4"), ("c.webm", "video/webm"), ("c.GIF", "image/gif")],
)
def test_a_clip_decodes_to_its_frames(tmp_path: Path, name: str, content_type: str) -> None:
    (file,) = save(tmp_path, name, clip())

    facts = file.facts
    assert (facts.content_type, facts.width, facts.height) == (content_type, 64, 48)
    assert (facts.frame_count, facts.duration_seconds) == (4, pytest.approx(0.5, abs=0.02))
    colours = np.array([frame.mean((0, 1)) for frame in decode(file)])
    assert np.abs(colours - COLOURS).max() < 24


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("i.png", "image/png"),
        ("i.jpg", "image/jpeg"),
        ("i.jpeg", "image/jpeg"),
        ("i.webp", "image/webp"),
    ],
)
def test_an_image_decodes_to_its_pixels(tmp_path: Path, name: str, content_type: str) -> None:
    (file,) = save(tmp_path, name, clip(frames=1))

    assert (file.facts.content_type, file.facts.width, file.facts.height) == (content_type, 64, 48)
    with Image.open(file.path) as image:
        assert np.abs(np.asarray(image).mean((0, 1)) - COLOURS[0]).max() < 8


def test_a_file_is_described_and_nothing_else_is_left(tmp_path: Path) -> None:
    (file,) = save(tmp_path, "deep/er/c.mp4", clip())

    content = Path(file.path).read_bytes()
    assert (file.path, file.name) == (str(tmp_path / "deep/er/c.mp4"), "deep/er/c.mp4")
    assert file.size_bytes == len(content)
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["c.mp4"]


def test_an_mp4_begins_with_its_index_so_that_players_start_at_once(tmp_path: Path) -> None:
    (file,) = save(tmp_path, "c.mp4", clip())

    content = Path(file.path).read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_an_mp4_is_h264_in_the_format_that_every_player_reads(tmp_path: Path) -> None:
    (file,) = save(tmp_path, "c.mp4", clip(), fps=23.976)

    with av.open(file.path) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == pytest.approx(23.976, abs=1e-3)


def test_without_x264_an_mp4_is_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})

    (file,) = save(tmp_path, "c.mp4", clip())

    with av.open(file.path) as container:
        assert container.streams.video[0].codec.name == "mpeg4"


@pytest.mark.parametrize("name", ["c.mp4", "c.webm"])
@pytest.mark.parametrize(
    ("size", "even"), [((33, 47), (32, 46)), ((1, 1), (2, 2)), ((48, 65), (48, 64))]
)
def test_odd_sides_become_even(
    tmp_path: Path, name: str, size: tuple[int, int], even: tuple[int, int]
) -> None:
    (file,) = save(tmp_path, name, clip(height=size[0], width=size[1]))

    assert (file.facts.height, file.facts.width) == even


@pytest.mark.parametrize("name", ["c.mp4", "c.webm"])
@pytest.mark.parametrize("shape", [(8000,), (1, 8000), (2, 8000), (8000, 2), (1, 2, 8000)])
@pytest.mark.parametrize("rate", [16000, 11025])
def test_sound_is_kept_with_its_length(
    tmp_path: Path, name: str, shape: tuple[int, ...], rate: int
) -> None:
    tone = np.sin(np.arange(np.prod(shape)) / 9).reshape(shape)

    (file,) = save(tmp_path, name, clip(), audio=Audio(samples=tone, rate=rate))

    with av.open(file.path) as container:
        frames = list(container.decode(audio=0))
        sampled = sum(frame.samples for frame in frames) / frames[0].sample_rate
        assert container.streams.audio[0].channels == (2 if 2 in shape else 1)
    assert sampled == pytest.approx(8000 / rate, abs=0.1)


def test_integer_sound_is_scaled(tmp_path: Path) -> None:
    tone = (np.sin(np.arange(16000) / 9) * 16000).astype(np.int16)

    (file,) = save(tmp_path, "c.mp4", clip(), audio=Audio(samples=tone, rate=16000))

    with av.open(file.path) as container:
        loudest = max(np.abs(frame.to_ndarray()).max() for frame in container.decode(audio=0))
    assert loudest == pytest.approx(16000 / 32767, abs=0.1)


def test_a_large_fast_gif_is_made_smaller_and_slower_but_not_shorter(tmp_path: Path) -> None:
    (file,) = save(tmp_path, "c.gif", clip(frames=12, height=300, width=1000), fps=24)

    assert (file.facts.width, file.facts.height) == (512, 154)
    assert (file.facts.frame_count, file.facts.duration_seconds) == (
        6,
        pytest.approx(0.5, abs=0.05),
    )


def test_a_gif_keeps_a_gradient_recognisable(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:64, 0:64]
    gradient = np.stack([rows * 4, columns * 4, rows * 2 + columns * 2], -1).astype(np.uint8)

    (file,) = save(tmp_path, "c.gif", [gradient, gradient[::-1]])

    assert np.abs(decode(file)[0].astype(int) - gradient).mean() < 8


def test_more_images_are_numbered(tmp_path: Path) -> None:
    files = save(tmp_path, "sub/i.png", clip(frames=3))

    assert [file.name for file in files] == ["sub/i.png", "sub/i_1.png", "sub/i_2.png"]
    assert len({file.sha256 for file in files}) == 3


@pytest.mark.parametrize(
    "frames",
    [
        clip().astype(np.float32) / 255,
        clip().astype(np.float64) / 255 * 1.2 - 0.1,
        list(clip().astype(np.float16) / 255),
        [Image.fromarray(frame) for frame in clip()],
        [Image.fromarray(frame).convert("P") for frame in clip()],
        clip().transpose(0, 3, 1, 2),
        np.concatenate([clip(), np.full((4, 48, 64, 1), 255, np.uint8)], axis=3),
        clip()[..., :1],
        clip()[..., 0],
    ],
)
def test_frames_come_in_many_forms(tmp_path: Path, frames: Any) -> None:
    (file,) = save(tmp_path, "c.mp4", frames)

    assert (file.facts.frame_count, file.facts.width, file.facts.height) == (4, 64, 48)


@pytest.mark.parametrize(
    ("name", "mode"), [("i.png", "RGBA"), ("i.webp", "RGBA"), ("i.jpg", "RGB")]
)
def test_transparency_is_kept_where_the_format_can(tmp_path: Path, name: str, mode: str) -> None:
    (file,) = save(tmp_path, name, [Image.new("RGBA", (8, 8), (255, 0, 0, 100))])

    with Image.open(file.path) as image:
        assert image.mode == mode


NAN = clip().astype(np.float32) / 255
NAN[2, 0, 0] = np.nan

INVALID = [
    ("c.mp4", NAN, "Frame 2 holds values that are not numbers"),
    ("i.png", NAN[2:], "Frame 0 holds values that are not numbers"),
    ("c.mp4", clip().astype(np.float32), "Frame 0 has values of 0 to 255; give floats 0 to 1"),
    ("c.mp4", clip().astype(np.int64), "Frame 0 holds int64"),
    ("c.mp4", np.zeros((4, 48, 64, 7), np.uint8), r"Frame 0 has the shape \(48, 64, 7\)"),
    ("c.mp4", np.zeros((4, 48), np.uint8), r"Frame 0 has the shape \(48,\)"),
    ("c.mp4", [clip()[0], clip(height=50)[0]], "Frame 1 is 64x50 pixels large, the first is 64x48"),
    ("c.mp4", [], "returned no frames"),
    ("c.gif", [], "returned no frames"),
    ("i.png", [], "returned no images"),
    ("c.exe", clip(), r"of type video cannot be written as '\.exe'; use \.mp4, \.webm, \.gif"),
    ("c", clip(), "cannot be written as ''"),
    ("c.mp4", ["a", "b"], "Frame 0"),
]


@pytest.mark.parametrize(("name", "frames", "message"), INVALID)
def test_frames_that_no_file_can_be_made_of_are_refused(
    tmp_path: Path, name: str, frames: Any, message: str
) -> None:
    with pytest.raises(OutputInvalid, match=message):
        save(tmp_path, name, frames)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_clip_that_breaks_off_leaves_no_part_of_it(tmp_path: Path) -> None:
    def frames() -> Iterator[Any]:
        yield from clip(frames=100)
        assert (tmp_path / "c.mp4.part").stat().st_size > 0
        raise MemoryError

    with pytest.raises(OutOfMemory):
        save(tmp_path, "c.mp4", frames())

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [0.0, -1.0, 1e6, float("nan")])
@pytest.mark.parametrize("name", ["c.mp4", "c.gif"])
def test_a_rate_that_no_clip_can_have_is_refused(tmp_path: Path, name: str, fps: float) -> None:
    with pytest.raises(OutputInvalid, match="frames per second cannot be encoded"):
        save(tmp_path, name, clip(), fps=fps)


@pytest.mark.parametrize(
    "samples", [np.zeros((3, 800)), np.zeros(0), np.full(800, np.nan), np.zeros((2, 2, 2, 2))]
)
def test_sound_that_cannot_be_encoded_is_refused(tmp_path: Path, samples: Any) -> None:
    with pytest.raises(OutputInvalid, match=r"Sound of .* cannot be encoded"):
        save(tmp_path, "c.mp4", clip(), audio=Audio(samples=samples, rate=16000))


def test_a_task_that_makes_no_file_makes_none(tmp_path: Path) -> None:
    job = make_job(tmp_path, output_name="", media_type="none")

    assert encode(Rendering(report=REPORT), job) == []


def test_a_missing_result_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputInvalid, match="returned nothing and wrote no file"):
        encode(Rendering(report=REPORT), make_job(tmp_path))


def test_a_file_that_the_pipeline_wrote_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "own.mp4"
    path.parent.mkdir()
    path.write_bytes(media_files.mp4())

    (file,) = encode(Rendering(report=REPORT, file=str(path)), make_job(tmp_path))

    assert (file.path, file.name) == (str(path), "sub/own.mp4")
    assert file.sha256 == hashlib.sha256(media_files.mp4()).hexdigest()
    assert file.facts == probe(path)


def test_a_file_that_was_written_elsewhere_is_fetched(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "task", tmp_path / "elsewhere.gif"
    folder.mkdir()
    elsewhere.write_bytes(media_files.still("GIF"))

    (file,) = encode(Rendering(report=REPORT, file=str(elsewhere)), make_job(folder))

    assert (file.path, file.name) == (str(folder / "t.gif"), "t.gif")
    assert elsewhere.exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"did not write the file 't\.mp4'"),
        (lambda path: path.write_bytes(b""), r"The result 't\.mp4' is empty"),
        (lambda path: path.write_bytes(b"text"), r"'t\.mp4' is no image, video or audio"),
        (lambda path: path.write_bytes(media_files.mp4()[:600]), r"'t\.mp4' is damaged"),
        (lambda path: path.mkdir(), "did not write the file"),
    ],
)
def test_a_file_that_is_no_result_is_refused(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "t.mp4"
    make(path)

    with pytest.raises(OutputInvalid, match=message) as raised:
        encode(Rendering(report=REPORT, file=str(path)), make_job(tmp_path))

    assert str(tmp_path) not in raised.value.message


def test_a_folder_that_cannot_be_written_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")

    with pytest.raises(OutputInvalid, match="The result cannot be written") as raised:
        save(tmp_path, "taken/c.png", clip())

    assert str(tmp_path) not in raised.value.message


def test_a_lack_of_memory_while_encoding_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*arguments: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(encode_module, "write_video", write)

    with pytest.raises(OutOfMemory, match="reduce resolution"):
        save(tmp_path, "c.mp4", clip())
