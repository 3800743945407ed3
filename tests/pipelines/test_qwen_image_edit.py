"""Qwen-Image-Edit: its contract, and a run of the real class with a tiny model.

Its processor cannot be read from a directory without torchvision: the file is served where that is.
"""

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.errors import MissingInputs, TaskCancelled
from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.context import JobContext
from telefuser_grpc.pipeline.diffusers_hooks import hooked
from telefuser_grpc.pipeline.loader import import_file
from telefuser_grpc.pipeline.options import ModelOptions
from tests.fakes.media_files import still
from tests.fakes.pipelines import Watcher
from tests.fakes.service import ROOT
from tests.pipelines.serving import Served, serve

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def file() -> ModuleType:
    return import_file(ROOT / "pipelines" / "qwen_image_edit.py")


@pytest.fixture(scope="module")
def contract(file: ModuleType) -> PipelineContract:
    return PipelineContract.parse(file.PIPELINE_CONTRACT, stem="qwen_image_edit")


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = []
    for name, size in {"wide": (64, 32), "tall": (32, 64)}.items():
        paths.append(str(tmp_path / f"{name}.png"))
        Image.new("RGB", size, "grey").save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def pipe() -> Any:
    """The real class; only what joins text and pictures is another."""
    from tests.pipelines.tiny.qwen import PictureProcessor, qwen_parts

    parts = qwen_parts()
    processor = PictureProcessor(parts["tokenizer"])
    pipe = diffusers.QwenImageEditPlusPipeline(**parts, processor=processor)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are a megapixel to the class, which takes half a minute here."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus

    monkeypatch.setattr(edit_plus, "CONDITION_IMAGE_SIZE", 64 * 64)
    monkeypatch.setattr(edit_plus, "VAE_IMAGE_SIZE", 64 * 64)


class Recorder:
    """Stands for the pipeline, and keeps what it is called with."""

    def __call__(self, **called: Any) -> Any:
        self.called = called
        return SimpleNamespace(images=["an image"])


def complete(contract: PipelineContract, **fields: Any) -> dict[str, Any]:
    return contract.task("edit").complete({"prompt": "make it red", **fields})


def edit(file: ModuleType, pipe: Any, request: dict[str, Any], watcher: Watcher) -> Any:
    context = JobContext(watcher.context)
    with hooked(pipe, context):
        (image,) = file.run(pipe, request, context)["images"]
    return image


def test_edit_has_the_size_and_steps_that_were_asked(
    file: ModuleType, contract: PipelineContract, pipe: Any, pictures: list[str]
) -> None:
    watcher = Watcher(preview_interval_seconds=0)
    wanted = {"width": 80, "height": 64, "num_inference_steps": 2}
    request = complete(contract, first_image_path=pictures[0], image_2=pictures[1], **wanted)

    image = edit(file, pipe, request, watcher)

    assert image.size == (80, 64)
    assert watcher.steps == [(1, 2), (2, 2)]
    assert len(watcher.previews) == 2


def test_same_seed_gives_the_same_pixels_whatever_ran_before(
    file: ModuleType, contract: PipelineContract, pipe: Any, pictures: list[str]
) -> None:
    size = {"width": 64, "height": 64, "num_inference_steps": 2}
    one, two = (
        complete(contract, first_image_path=pictures[0], seed=seed, **size) for seed in (1, 2)
    )
    first = edit(file, pipe, one, Watcher()).tobytes()

    with pytest.raises(TaskCancelled):
        edit(file, pipe, two, Watcher(cancel_after=1))

    assert edit(file, pipe, one, Watcher()).tobytes() == first
    assert edit(file, pipe, two, Watcher()).tobytes() != first


def test_pictures_are_given_in_their_order_with_the_documented_defaults(
    file: ModuleType, contract: PipelineContract, pictures: list[str]
) -> None:
    pipe = Recorder()

    file.run(pipe, complete(contract, first_image_path=pictures[0], image_3=pictures[1]), None)

    assert [image.size for image in pipe.called["image"]] == [(64, 32), (32, 64)]
    assert pipe.called["num_inference_steps"] == 40
    assert pipe.called["true_cfg_scale"] == 4.0
    assert pipe.called["negative_prompt"] == " "


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, (None, None)),
        ({"resolution": "1536x1024"}, (1536, 1024)),
        ({"width": 640, "height": 360}, (640, 368)),
    ],
)
def test_size_is_the_models_own_unless_asked(
    file: ModuleType,
    contract: PipelineContract,
    pictures: list[str],
    fields: dict[str, Any],
    size: tuple[Any, Any],
) -> None:
    pipe = Recorder()

    file.run(pipe, complete(contract, first_image_path=pictures[0], **fields), None)

    assert (pipe.called["width"], pipe.called["height"]) == size


@pytest.mark.parametrize("kind", ["edit", "i2i"])
def test_both_kinds_need_a_picture(contract: PipelineContract, kind: str) -> None:
    with pytest.raises(MissingInputs):
        contract.task(kind).complete({"prompt": "make it red"})


def test_every_picture_has_a_limit(contract: PipelineContract) -> None:
    for task in contract.tasks.values():
        assert set(task.input_limits) == set(task.inputs)


def test_model_is_loaded_as_its_class(file: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "load_model", lambda *given, **named: (*given, named))
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    options = ModelOptions()

    loaded = file.get_pipeline(2, options)

    wanted = (diffusers.QwenImageEditPlusPipeline, file.MODEL, options, {"parallelism": 2})
    assert loaded == wanted


def test_start_without_torchvision_says_what_to_install(
    file: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)

    with pytest.raises(ModelUnusable, match=r"needs torchvision: run `pip install torchvision"):
        file.get_pipeline(1, ModelOptions())


def test_start_with_a_torchvision_for_another_torch_says_so(
    file: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('no operator torchvision::nms')")
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModelUnusable, match=r"another torch: run `pip uninstall torchvision`"):
        file.get_pipeline(1, ModelOptions())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pytest.importorskip("torchvision")
    from tests.pipelines.tiny.qwen import save_qwen_image_edit

    folder = tmp_path_factory.mktemp("qwen_image_edit")
    with serve("qwen_image_edit.py", folder, save_qwen_image_edit) as served:
        yield served


def test_edit_is_served(served: Served) -> None:
    """One run only: to the class, and here to it alone, a picture is a megapixel."""
    picture = "data:image/png;base64," + base64.b64encode(still(width=64, height=32)).decode()

    made = served.make(
        first_image_path=picture, width=80, height=64, num_inference_steps=2, task="edit"
    )

    assert made.picture == ("PNG", (80, 64))
    assert made.steps == [1, 2]
    assert "preview" in {event.name for event in made.events}
