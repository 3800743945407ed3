"""What a request of the Wan families says is heard: another value makes another clip.

The tiny autoencoder hides small differences from a coded film, so the frames themselves are held
against one another here.
"""

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.pipeline.options import ModelOptions
from tests.fakes.media_files import noise, still
from tests.fakes.service import ROOT

pytest.importorskip("diffusers")

SMALL = {
    "prompt": "a cat",
    "width": 64,
    "height": 64,
    "num_frames": 5,
    "target_video_length": 1,
    "num_inference_steps": 3,
}
NEW_FRAMES = 24
"""Of a clip that goes on for a second, at 24 fps."""
INPUTS = {"first_image_path", "last_image_path", "ref_video_path"}


@pytest.mark.parametrize(
    ("file", "kind", "model", "field", "value"),
    [
        ("wan21_i2v_14b_480p", "i2v", "wan.save_wan21_i2v", "first_image_path", None),
        ("wan21_t2v_14b", "t2v", "wan.save_wan21_t2v", "negative_prompt", "a dog in the sea"),
        ("wan22_t2v_a14b", "t2v", "wan.save_wan22_t2v", "guidance_scale_2", 9.0),
        ("wan22_i2v_a14b", "i2v", "wan.save_wan22_i2v", "guidance_scale_2", 9.0),
        ("wan22_fl2v_a14b", "fl2v", "wan.save_wan22_i2v", "last_image_path", None),
        ("wan22_ti2v_5b", "i2v", "wan.save_wan22_ti2v", "first_image_path", None),
        ("wan21_vc", "vc", "wan.save_wan21_t2v", "ref_video_path", None),
        ("skyreels_v2", "i2v", "wan_skyreels.save_skyreels", "first_image_path", None),
        ("skyreels_v2", "vc", "wan_skyreels.save_skyreels", "ref_video_path", None),
    ],
)
def test_other_value_makes_another_clip(
    file: str, kind: str, model: str, field: str, value: Any, tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(still(width=64, height=64))
    (tmp_path / "grey.png").write_bytes(noise(width=64, height=64))
    usual = SMALL | {name: str(tmp_path / "red.png") for name in INPUTS}
    other = usual | {field: value or str(tmp_path / "grey.png")}
    pipeline = Loaded(file, kind, model, tmp_path / "model")

    made = [pipeline.make(request) for request in (usual, other)]

    assert (made[0] != made[1]).any()


class Loaded:
    """A pipeline file with a tiny model, in this process."""

    def __init__(self, file: str, kind: str, model: str, folder: Path) -> None:
        import torch

        from tests.pipelines.tiny import wan, wan_skyreels

        torch.set_num_threads(1)  # two of them wait for each other on a busy machine
        modules = {"wan": wan, "wan_skyreels": wan_skyreels}
        name, save = model.split(".")
        getattr(modules[name], save)(folder)
        self._file = runpy.run_path(str(ROOT / "pipelines" / f"{file}.py"))
        declared = self._file["PIPELINE_CONTRACT"]
        self._contract = PipelineContract.parse(declared, stem=file).task(kind)
        self._pipe = self._file["get_pipeline"](1, ModelOptions(model=str(folder)))

    def make(self, request: Mapping[str, Any]) -> Any:
        """Returns the last frames of a request's clip; of the inputs, the kind sees its own."""
        import numpy as np

        unseen = INPUTS - set(self._contract.inputs)
        given = {name: value for name, value in request.items() if name not in unseen}
        made = self._file["run"](self._pipe, self._contract.complete(given), None)
        return np.stack([np.asarray(frame) for frame in made["frames"][-NEW_FRAMES:]])
