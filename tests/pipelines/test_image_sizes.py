"""The sizes of OpenAI's images reach the image models: qwen_image, z_image_turbo, flux2_klein."""

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.errors import InvalidFields
from telefuser_grpc.pipeline.loader import import_file
from telefuser_grpc.server.openai.image_bodies import GenerationBody
from telefuser_grpc.server.openai.image_order import ImageOrder
from tests.fakes.service import ROOT

pytest.importorskip("diffusers")

OWN_SIZES = {
    "qwen_image": (1328, 1328),
    "z_image_turbo": (1024, 1024),
    "flux2_klein": (1024, 1024),
}


@pytest.fixture(scope="module", params=OWN_SIZES)
def file(request: pytest.FixtureRequest) -> ModuleType:
    return import_file(ROOT / "pipelines" / f"{request.param}.py")


class Recorder:
    """Stands for the pipeline, and keeps what it is called with."""

    def __call__(self, **called: Any) -> Any:
        self.called = called
        return SimpleNamespace(images=["an image"])


def called(file: ModuleType, fields: dict[str, Any]) -> dict[str, Any]:
    contract = PipelineContract.parse(file.PIPELINE_CONTRACT, stem="image")
    pipe = Recorder()
    file.run(pipe, contract.task("t2i").complete({"prompt": "a cat", **fields}), None)
    return pipe.called


def ordered(file: ModuleType, size: str) -> dict[str, Any]:
    contract = PipelineContract.parse(file.PIPELINE_CONTRACT, stem="image")
    body = GenerationBody(prompt="a cat", size=size)
    (request,) = ImageOrder(body=body, prompt=body.prompt).requests(contract)
    assert request.kind == "t2i"
    return called(file, {**request.generic_defaults, **request.fields})


@pytest.mark.parametrize("size", ["1024x1024", "1536x1024", "1024x1536"])
def test_size_of_openai_is_made_exactly(file: ModuleType, size: str) -> None:
    made = ordered(file, size)

    assert f"{made['width']}x{made['height']}" == size


def test_size_is_left_to_the_model_by_auto(file: ModuleType) -> None:
    made = ordered(file, "auto")

    assert (made["width"], made["height"]) == OWN_SIZES[file.PIPELINE_CONTRACT["pipeline_name"]]


def test_size_that_the_contract_does_not_name_is_refused(file: ModuleType) -> None:
    with pytest.raises(InvalidFields) as refused:
        ordered(file, "640x480")

    assert [each.field for each in refused.value.violations] == ["resolution"]


def test_every_aspect_has_a_size_of_its_shape(file: ModuleType) -> None:
    for aspect, size in file.SIZES.items():
        made = called(file, {"aspect_ratio": aspect})

        across, down = map(int, aspect.split(":"))
        assert f"{made['width']}x{made['height']}" == size
        assert made["width"] / made["height"] == pytest.approx(across / down, rel=0.02)
        assert made["width"] % 16 == made["height"] % 16 == 0


def test_sides_go_before_everything(file: ModuleType) -> None:
    made = called(file, {"resolution": "1024x1024", "width": 640, "height": 360})

    assert (made["width"], made["height"]) == (640, 368)


def test_documented_defaults_hold(file: ModuleType) -> None:
    wanted = {
        "qwen_image": {"num_inference_steps": 50, "true_cfg_scale": 4.0, "negative_prompt": [" "]},
        "z_image_turbo": {"num_inference_steps": 9, "guidance_scale": 0.0},
        "flux2_klein": {"num_inference_steps": 4, "guidance_scale": 1.0, "image": None},
    }[file.PIPELINE_CONTRACT["pipeline_name"]]

    made = called(file, {})
    assert {name: made[name] for name in wanted} == wanted


def test_pictures_are_given_to_klein_in_their_order(tmp_path: Path) -> None:
    file = import_file(ROOT / "pipelines" / "flux2_klein.py")
    contract = PipelineContract.parse(file.PIPELINE_CONTRACT, stem="image")
    paths = {}
    for name, size in {"first_image_path": (96, 64), "image_4": (64, 96)}.items():
        paths[name] = str(tmp_path / f"{name}.png")
        Image.new("RGB", size).save(paths[name])
    pipe = Recorder()

    file.run(pipe, contract.task("i2i").complete({"prompt": "a cat", **paths}), None)

    assert [image.size for image in pipe.called["image"]] == [(96, 64), (64, 96)]


def test_every_picture_for_klein_has_a_limit() -> None:
    file = import_file(ROOT / "pipelines" / "flux2_klein.py")
    task = PipelineContract.parse(file.PIPELINE_CONTRACT, stem="image").task("edit")

    assert set(task.input_limits) == set(task.inputs)
