"""Clips are shaped like the picture or the clip that they are made from, in every file."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.kinds import IMAGE_FIELDS, VIDEO_FIELDS
from telefuser_grpc.pipeline.loader import import_file
from telefuser_grpc.pipeline.sizes import AREAS
from tests.fakes.media_files import mp4, still
from tests.fakes.service import ROOT

pytest.importorskip("diffusers")

WIDTH, HEIGHT = 60, 84
MULTIPLES = {
    ("wan21_i2v_14b_480p", "i2v"): 16,
    ("wan21_i2v_14b_720p", "i2v"): 16,
    ("wan21_vc", "vc"): 16,
    ("wan22_i2v_a14b", "i2v"): 16,
    ("wan22_i2v_a14b_distill", "i2v"): 16,
    ("wan22_i2v_a14b_distill", "fl2v"): 16,
    ("wan22_fl2v_a14b", "fl2v"): 16,
    ("wan22_ti2v_5b", "i2v"): 32,
    ("skyreels_v2", "i2v"): 16,
    ("skyreels_v2", "vc"): 16,
    ("hunyuan_video_i2v", "i2v"): 16,
    ("ltx_video", "i2v"): 32,
    ("ltx2_i2v", "i2v"): 64,
    ("i2vgen_xl", "i2v"): 8,
}


class Recorder:
    """Stands for a pipeline and for all that it has, and keeps what it is called with."""

    def __call__(self, **called: Any) -> Any:
        self.called = called
        return SimpleNamespace(frames=[[]] * 2, audio=[None] * 2)

    def __getattr__(self, name: str) -> "Recorder":
        return self


@pytest.fixture
def media(tmp_path: Path) -> dict[str, str]:
    picture, clip = tmp_path / "picture.png", tmp_path / "clip.mp4"
    picture.write_bytes(still(width=WIDTH, height=HEIGHT))
    clip.write_bytes(mp4(frames=6, width=WIDTH, height=HEIGHT))
    return dict.fromkeys(IMAGE_FIELDS, str(picture)) | dict.fromkeys(VIDEO_FIELDS, str(clip))


@pytest.mark.parametrize(("name", "kind"), MULTIPLES)
def test_clip_is_shaped_like_what_it_is_made_from(
    name: str, kind: str, media: dict[str, str]
) -> None:
    file = import_file(ROOT / "pipelines" / f"{name}.py")
    task = PipelineContract.parse(file.PIPELINE_CONTRACT, stem=name).task(kind)
    given = {field: media[field] for field in task.required_inputs}
    pipe = Recorder()

    file.run(
        pipe,
        request := task.complete({"task": kind, "prompt": "a cat", **given}),
        SimpleNamespace(),
    )

    made, area = pipe.called, AREAS[request["resolution"]]
    multiple = MULTIPLES[name, kind]
    for side, exact in (("width", math.sqrt(area / 1.4)), ("height", math.sqrt(area * 1.4))):
        assert made[side] % multiple == 0
        assert exact - 1e-6 <= made[side] < exact + multiple
