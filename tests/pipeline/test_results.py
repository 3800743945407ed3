"""What a pipeline returns is understood in every form that files use."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from telefuser_grpc.errors import OutputInvalid
from telefuser_grpc.pipeline.rendering import Rendering
from telefuser_grpc.pipeline.results import Measured, read_result
from tests.fakes.pipelines import make_job

CLIP = np.zeros((5, 4, 6, 3), np.uint8)
STILL = Image.new("RGB", (6, 4))


def read(result: Any, folder: Path, *, fps: float | None = None, **job: Any) -> Rendering:
    measured = Measured(seconds=2.5, peak_memory_mib=None)
    return read_result(result, make_job(folder, **job), measured=measured, fps=fps)


@pytest.mark.parametrize(
    ("result", "count"),
    [
        (CLIP, 5),
        (CLIP[None], 5),
        (CLIP[0], 1),
        (list(CLIP), 5),
        ([CLIP], 5),
        (STILL, 1),
        ([STILL, STILL], 2),
        ([[STILL, STILL]], 2),
        ({"frames": CLIP}, 5),
        ({"frames": [[STILL] * 3]}, 3),
        ({"video": CLIP}, 5),
        ({"images": [STILL, STILL]}, 2),
        ({"image": STILL}, 1),
        ((CLIP,), 5),
        (SimpleNamespace(frames=CLIP[None]), 5),
        (SimpleNamespace(images=[STILL, STILL]), 2),
        ((CLIP, None, 16000), 5),
    ],
)
def test_pictures_are_found(tmp_path: Path, result: Any, count: int) -> None:
    assert len(read(result, tmp_path).frames) == count


def test_tensors_come_to_main_memory(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    rendering = read({"frames": torch.ones(1, 5, 4, 6, 3, dtype=torch.bfloat16)}, tmp_path)

    assert isinstance(rendering.frames, np.ndarray)
    assert (rendering.frames.dtype, rendering.frames.shape) == (np.float32, (5, 4, 6, 3))


@pytest.mark.parametrize(
    "result", [{"frames": CLIP, "audio": ([0.0] * 9, 16000)}, (CLIP, [0.0] * 9, 16000)]
)
def test_sound_comes_with_its_rate(tmp_path: Path, result: Any) -> None:
    audio = read(result, tmp_path).audio

    assert audio is not None
    assert (len(audio.samples), audio.rate) == (9, 16000)


@pytest.mark.parametrize(
    ("result", "name"),
    [
        ("/elsewhere/x.mp4", "/elsewhere/x.mp4"),
        (Path("/elsewhere/x.mp4"), "/elsewhere/x.mp4"),
        ({"output_path": "/elsewhere/x.mp4"}, "/elsewhere/x.mp4"),
        ({"uri": "file:///elsewhere/x.mp4"}, "/elsewhere/x.mp4"),
        ({"output_path": "", "uri": "x.mp4"}, "{folder}/x.mp4"),
        ("x.mp4", "{folder}/x.mp4"),
    ],
)
def test_a_named_file_wins_over_the_requested_one(tmp_path: Path, result: Any, name: str) -> None:
    rendering = read(result, tmp_path)

    assert (rendering.file, rendering.frames) == (name.format(folder=tmp_path), None)


@pytest.mark.parametrize("result", [None, {}, {"metrics": {}}])
def test_a_file_that_was_only_written_is_the_requested_one(tmp_path: Path, result: Any) -> None:
    absent = read(result, tmp_path)
    (tmp_path / "t.mp4").write_bytes(b"x")
    written = read(result, tmp_path)

    assert (absent.file, written.file) == ("", str(tmp_path / "t.mp4"))


def test_names_that_are_not_understood_are_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(OutputInvalid, match=r"returned imgs, and wrote no file; .*'frames' or"):
        read({"imgs": [1], "fps": 8}, tmp_path)


def test_no_file_is_expected_where_none_was_asked_for(tmp_path: Path) -> None:
    rendering = read(None, tmp_path, output_name="", media_type="none")

    assert (rendering.file, rendering.frames) == ("", None)


@pytest.mark.parametrize(
    ("result", "seconds", "memory"),
    [
        (None, 2.5, None),
        ({"inference_time_s": 9, "peak_memory_mb": 100}, 9.0, 100.0),
        ({"metrics": {"inference_time_s": 9, "peak_memory_gb": 2}}, 9.0, 2048.0),
        ({"peak_memory_mb": 100, "peak_memory_gb": 2}, 2.5, 100.0),
        ({"inference_time_s": "fast", "peak_memory_mb": float("nan")}, 2.5, None),
    ],
)
def test_measurements_of_the_pipeline_win_over_ours(
    tmp_path: Path, result: Any, seconds: float, memory: float | None
) -> None:
    report = read(result, tmp_path).report

    assert (report.inference_seconds, report.peak_memory_mib) == (seconds, memory)


@pytest.mark.parametrize(
    ("result", "fields", "usual", "fps"),
    [
        ({"fps": 8}, {"fps": 12}, 24, 8),
        ({}, {"fps": 12}, 24, 12),
        ({}, {"target_fps": 12}, 24, 12),
        ({}, {"fps": "fast"}, 24, 24),
        ({}, {}, None, 16),
    ],
)
def test_the_rate_is_the_results_then_the_requests_then_the_files(
    tmp_path: Path, result: Any, fields: dict[str, Any], usual: float | None, fps: float
) -> None:
    assert read({"frames": CLIP, **result}, tmp_path, fields=fields, fps=usual).fps == fps


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (object(), "returned a object"),
        (np.zeros((2, 5, 4, 6, 3)), "returned 2 clips"),
        ([[STILL], [STILL]], "returned 2 clips"),
        ("https://example.com/x.mp4", "remote address"),
    ],
)
def test_a_form_that_is_not_understood_is_named(tmp_path: Path, result: Any, message: str) -> None:
    with pytest.raises(OutputInvalid, match=message):
        read(result, tmp_path)
