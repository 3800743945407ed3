"""A pipeline is warm before it is ready, and one that cannot warm up is not loaded."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from telefuser_grpc.pipeline.loader import LoadedPipeline, PipelineLoadError, load
from telefuser_grpc.pipeline.warmup import warm_up
from tests.fakes.pipelines import write_file

FILE = """
from PIL import Image
SEEN = []
PIPELINE_CONTRACT = {
    "supported_tasks": %r,
    "task_contracts": {
        "vsr": {"required_inputs": ["ref_video_path"]},
        "i2v": {
            "required_inputs": ["first_image_path"],
            "parameters": {"num_inference_steps": {"default": 7}, "prompt": {"required": True}},
        },
        "t2i": {"media_type": "image"},
        "t2v": {"media_type": "none"},
    },
}
def get_pipeline(): return None
def run(pipeline, request, context):
    context.progress(1, 1)
    SEEN.append(request)
    if request["task"] == "i2v":
        return [Image.open(request["first_image_path"]).copy()] * 3
    if request["task"] == "t2i":
        raise RuntimeError("the weights are broken")
"""


def loaded(folder: Path, *kinds: str) -> LoadedPipeline:
    return load(write_file(folder, FILE % list(kinds)), task=None, parallelism=1)


def test_the_warm_up_runs_the_contracts_defaults_once(tmp_path: Path) -> None:
    pipeline = loaded(tmp_path, "i2v")

    warm_up(pipeline)

    (request,) = pipeline.module.SEEN
    assert request["num_inference_steps"] == 7
    assert request["prompt"] == ""
    assert not Path(request["output_path"]).parent.exists()
    pipeline.close()


def test_the_warm_up_takes_the_first_kind_that_needs_no_clip_or_sound(tmp_path: Path) -> None:
    pipeline = loaded(tmp_path, "vsr", "t2v", "i2v")

    warm_up(pipeline)

    assert [request["task"] for request in pipeline.module.SEEN] == ["t2v"]
    pipeline.close()


def test_a_pipeline_whose_kinds_all_need_clips_stays_cold(tmp_path: Path) -> None:
    pipeline = loaded(tmp_path, "vsr")

    with capture_logs() as logs:
        warm_up(pipeline)

    assert [line["event"] for line in logs] == ["no warm-up"]
    assert pipeline.module.SEEN == []
    pipeline.close()


def test_a_warm_up_that_fails_is_a_failed_load_that_says_why(tmp_path: Path) -> None:
    pipeline = loaded(tmp_path, "t2i")

    with pytest.raises(PipelineLoadError) as refusal:
        warm_up(pipeline)

    assert str(refusal.value) == ("The warm-up of t2i failed: RuntimeError: the weights are broken")
    pipeline.close()


def test_a_files_own_warm_up_that_fails_is_a_failed_load_too(tmp_path: Path) -> None:
    own = "def warmup(pipeline): raise RuntimeError('no kernel for this device')\n"
    path = write_file(tmp_path, FILE % ["t2v"] + own)

    with pytest.raises(PipelineLoadError, match="RuntimeError: no kernel for this device"):
        load(path, task=None, parallelism=1)
