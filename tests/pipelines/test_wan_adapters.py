"""Wan image-to-video in few steps: files that merge adapters into a model, here tiny ones."""

import base64
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.options import ModelOptions
from tests.fakes.media_files import still
from tests.fakes.service import ROOT
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

LORA = ROOT / "pipelines" / "wan21_i2v_14b_lora.py"
DISTILL = ROOT / "pipelines" / "wan22_i2v_a14b_distill.py"
PICTURE = "data:image/png;base64," + base64.b64encode(still(width=60, height=85)).decode()
CLIP = {"first_image_path": PICTURE, "num_frames": 5}
FULL_SIZE, SMALL_SIZE = "SIZE = (832, 480)", "SIZE = (96, 64)"


def save_for_lora(model: Path) -> None:
    from tests.pipelines.tiny import wan

    file = runpy.run_path(str(LORA))
    wan.save_wan21_i2v(model)
    path = model.parent / "models" / file["ADAPTER"] / file["ADAPTER_FILE"]
    wan.save_adapter(path, image_dim=wan.LOOK, seed=2)


def save_for_distill(model: Path) -> None:
    from tests.pipelines.tiny import wan

    file = runpy.run_path(str(DISTILL))
    wan.save_wan22_i2v(model)
    for seed, name in enumerate(("HIGH_NOISE", "LOW_NOISE"), start=2):
        path = model.parent / "models" / file["ADAPTERS"] / file[name]
        wan.save_adapter(path, seed=seed)


def load(file: Path, folder: Path) -> Any:
    """Loads the pipeline of a file, with the adapters that lie in a folder."""
    options = ModelOptions(model=str(folder / "model"), models_folder=str(folder / "models"))
    return runpy.run_path(str(file))["get_pipeline"](1, options)


def change(merged: Any, original: Any, name: str) -> Any:
    return merged.get_parameter(name).detach() - original.get_parameter(name).detach()


@pytest.fixture(scope="module")
def with_lora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serves the file with a size that a tiny model is quick at; all else is as it is."""
    folder = tmp_path_factory.mktemp("wan21_lora")
    file = folder / LORA.name
    assert FULL_SIZE in LORA.read_text()
    file.write_text(LORA.read_text().replace(FULL_SIZE, SMALL_SIZE))
    with serve(str(file), folder, save_for_lora, models_folder=folder / "models") as served:
        yield served


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("wan22_distill")
    with serve(str(DISTILL), folder, save_for_distill, models_folder=folder / "models") as served:
        yield served


def test_clip_has_one_size_and_eight_steps(with_lora: Served) -> None:
    made = with_lora.make(**CLIP)

    assert made.frames == [(96, 64)] * 5
    assert made.fps == 16
    assert made.steps == list(range(1, 9))


def test_another_size_is_refused(with_lora: Served) -> None:
    answer = with_lora.post(**CLIP, resolution="720p")

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "resolution"]


@pytest.mark.parametrize("more", [{}, {"last_image_path": PICTURE}], ids=["i2v", "fl2v"])
def test_both_tasks_of_the_distilled_model_take_eight_steps(
    distilled: Served, more: dict[str, str]
) -> None:
    made = distilled.make(**CLIP, **more, width=64, height=96)

    assert made.frames == [(64, 96)] * 5
    assert made.steps == list(range(1, 9))


@pytest.mark.parametrize("fixture", ["with_lora", "distilled"])
def test_same_seed_gives_the_same_bytes_whatever_ran_before(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    served: Served = request.getfixturevalue(fixture)
    clip = CLIP | {"width": 64, "height": 96}

    first = served.make(**clip, seed=7)
    other = served.make(**clip, seed=8)
    ended = served.cancel_at_first_step(**clip, num_inference_steps=40)

    assert served.make(**clip, seed=7).data == first.data != other.data
    assert ended == "cancelled"


def test_documented_contract_of_the_distilled_model(distilled: Served) -> None:
    metadata = distilled.http.get("/v1/service/metadata").json()

    contract = metadata["task_contracts"]["i2v"]
    assert metadata["pipeline_name"] == "wan22_A14B_i2v_h100_distill"
    assert metadata["supported_tasks"] == ["i2v", "fl2v"]
    assert contract["required_inputs"] == ["first_image_path"]
    assert contract["optional_inputs"] == ["last_image_path"]
    assert contract["parameters"]["resolution"]["default"] == "720p"
    assert contract["parameters"]["resolution"]["enum"] == ["480p", "720p"]


def test_adapter_is_merged_into_the_layers_that_it_was_trained_on(tmp_path: Path) -> None:
    from tests.pipelines.tiny import wan

    save_for_lora(tmp_path / "model")

    merged = load(LORA, tmp_path).transformer

    original = wan.transformer(in_channels=36, image_dim=wan.LOOK)
    assert change(merged, original, "blocks.0.attn1.to_q.weight").abs().max() > 0.01
    assert not change(merged, original, "blocks.0.ffn.net.0.proj.weight").any()


def test_each_expert_gets_its_own_adapter(tmp_path: Path) -> None:
    from tests.pipelines.tiny import wan

    save_for_distill(tmp_path / "model")

    pipe = load(DISTILL, tmp_path)

    layer = "blocks.0.attn1.to_q.weight"
    high = change(pipe.transformer, wan.transformer(in_channels=36), layer)
    low = change(pipe.transformer_2, wan.transformer(in_channels=36, seed=1), layer)
    assert min(high.abs().max(), low.abs().max()) > 0.01
    assert (high - low).abs().max() > 0.01


@pytest.mark.parametrize("file", [LORA, DISTILL], ids=lambda file: file.stem)
def test_missing_adapter_is_named_with_the_way_to_get_it(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match=r"hf download lightx2v/\S+ \S+\.safetensors"):
        load(file, tmp_path)
