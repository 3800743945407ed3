"""A model is loaded as its operator wants it, or refused with what to do."""

from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.pipeline import memory, models, tuning
from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.loader import PipelineLoadError
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from tests.fakes.models import change_json

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

HUB_ID = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.pipelines.tiny.wan import save_wan21_t2v

    folder = tmp_path_factory.mktemp("models") / "wan"
    save_wan21_t2v(folder)
    return folder


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(saved, tmp_path / "wan"))


def load(
    model: Path, *, parallelism: int = 1, float32: tuple[str, ...] = (), **options: Any
) -> Any:
    return load_model(
        diffusers.WanPipeline,
        HUB_ID,
        ModelOptions(model=str(model), **options),
        parallelism=parallelism,
        float32=float32,
    )


def refusal(model: Path, **wanted: Any) -> str:
    with pytest.raises(ModelUnusable) as refused:
        load(model, **wanted)
    assert str(model.parent) not in str(refused.value)
    return str(refused.value)


def dtypes(pipe: Any) -> tuple[Any, Any, Any]:
    return pipe.transformer.dtype, pipe.text_encoder.dtype, pipe.vae.dtype


def test_everything_that_costs_is_off() -> None:
    options = ModelOptions()

    assert not any((options.vae_tiling, options.compile, options.attention, options.loras))
    assert options.offload == options.quantization == options.step_cache == "none"


def test_model_has_full_precision_on_a_machine_without_a_gpu(saved: Path) -> None:
    assert dtypes(load(saved)) == (torch.float32,) * 3


def test_model_has_the_precision_that_is_asked(saved: Path) -> None:
    pipe = load(saved, dtype="bfloat16", float32=("vae",))

    assert dtypes(pipe) == (torch.bfloat16, torch.bfloat16, torch.float32)


def test_model_has_half_precision_on_a_gpu(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "device", lambda: "cuda")

    assert dtypes(load(saved)) == (torch.bfloat16,) * 3


def test_options_reach_the_model(saved: Path) -> None:
    pipe = load(saved, vae_tiling=True, step_cache="first_block", attention="native")

    assert pipe.vae.use_tiling
    assert pipe.transformer.is_cache_enabled


def test_ready_part_takes_the_place_of_the_one_on_disk(saved: Path) -> None:
    from tests.pipelines.tiny.wan import vae

    ready = vae()

    options = ModelOptions(model=str(saved))
    pipe = load_model(diffusers.WanPipeline, HUB_ID, options, vae=ready)

    assert pipe.vae is ready


def test_adapter_that_is_not_there_ends_the_load(saved: Path) -> None:
    assert "The adapter 'none.safetensors', of TELEFUSER_LORAS" in refusal(
        saved, loras=("./none.safetensors",)
    )


class Placed:
    """Stands for a pipeline class, and keeps how it was read and placed."""

    def __init__(self) -> None:
        self.read: dict[str, Any] = {}
        self.placed: list[Any] = []

    __name__ = "WanPipeline"
    transformer = None

    def from_pretrained(self, folder: Path, **settings: Any) -> "Placed":
        self.read = settings
        return self

    def to(self, device: str) -> None:
        self.placed.append(device)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (models, tuning, memory):
        monkeypatch.setattr(module, "device", lambda: "cuda")
    monkeypatch.setattr(memory, "free_device_bytes", lambda _: 2**40)


def placed(model: Path, *, parallelism: int, **options: Any) -> Placed:
    pipe: Any = Placed()
    load_model(pipe, HUB_ID, ModelOptions(model=str(model), **options), parallelism=parallelism)
    return pipe  # type: ignore[no-any-return]  # it is Any only to pass for a class


@pytest.mark.usefixtures("gpus")
def test_model_of_several_devices_is_spread_over_them(saved: Path) -> None:
    pipe = placed(saved, parallelism=2)

    assert pipe.read["device_map"] == "balanced"
    assert pipe.placed == []


@pytest.mark.usefixtures("gpus")
def test_model_of_one_device_is_on_it(saved: Path) -> None:
    pipe = placed(saved, parallelism=1)

    assert "device_map" not in pipe.read
    assert pipe.placed == ["cuda"]


def test_model_without_any_device_is_not_spread(saved: Path) -> None:
    assert "device_map" not in placed(saved, parallelism=2).read


def test_model_is_read_without_the_network(saved: Path) -> None:
    assert placed(saved, parallelism=1).read["local_files_only"] is True


@pytest.mark.usefixtures("gpus")
def test_offload_of_a_spread_model_is_refused(saved: Path) -> None:
    with pytest.raises(ModelUnusable, match="TELEFUSER_OFFLOAD=model needs replicas of one device"):
        placed(saved, parallelism=2, offload="model")


@pytest.mark.usefixtures("gpus")
def test_device_without_room_is_told_with_the_remedy(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Placed, device: str) -> None:
        raise torch.OutOfMemoryError(f"{device} is full")

    monkeypatch.setattr(Placed, "to", full)

    with pytest.raises(ModelUnusable, match="set TELEFUSER_OFFLOAD=model"):
        placed(saved, parallelism=1)


def test_machine_without_room_is_told_with_the_remedy(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Placed, "from_pretrained", full)

    with pytest.raises(ModelUnusable, match="set TELEFUSER_DTYPE=bfloat16"):
        placed(saved, parallelism=1)


def test_library_that_a_part_needs_is_told_and_no_upgrade(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bare(*_: Any, **__: Any) -> None:
        raise ImportError("T5Tokenizer requires the SentencePiece library: pip install it")

    monkeypatch.setattr(Placed, "from_pretrained", bare)

    with pytest.raises(ModelUnusable) as refused:
        placed(saved, parallelism=1)

    assert str(refused.value) == (
        "The model in 'wan' needs what is not installed: ImportError: T5Tokenizer requires the "
        "SentencePiece library: pip install it"
    )


def test_weights_of_other_shapes_than_the_configuration_are_told(model: Path) -> None:
    change_json(model / "transformer" / "config.json", ffn_dim=64)

    told = refusal(model)

    assert "The model in 'wan' cannot be read by diffusers" in told
    assert "expected shape" in told
    assert "pip install --upgrade diffusers transformers" in told


def test_configuration_that_is_no_object_is_told(model: Path) -> None:
    (model / "vae" / "config.json").write_text("[]")

    assert "The model in 'wan' cannot be read by diffusers" in refusal(model)


def test_part_with_more_layers_than_its_files_hold_is_told(model: Path) -> None:
    change_json(model / "transformer" / "config.json", num_layers=3)

    told = refusal(model)

    assert "is not whole: the files of transformer lack 27 of the weights" in told
    assert "that its config.json asks for, as blocks.2.attn1.norm_k.weight" in told
    assert f"hf download {HUB_ID}" in told


def test_part_of_transformers_with_more_layers_than_its_files_hold_is_told(model: Path) -> None:
    change_json(model / "text_encoder" / "config.json", num_layers=3)

    told = refusal(model)

    assert "the files of text_encoder lack" in told
    assert "as encoder.block.2." in told


def add_weight(part: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = part / "diffusion_pytorch_model.safetensors"
    save_file(load_file(path) | {"memory.weight": torch.zeros(1)}, path, metadata={"format": "pt"})


def test_part_with_a_setting_and_weights_that_are_not_known_is_too_new(model: Path) -> None:
    change_json(model / "transformer" / "config.json", memory_dim=8)
    add_weight(model / "transformer")

    told = refusal(model)

    assert "cannot be read by diffusers" in told
    assert "memory_dim in transformer/config.json; if it is newer than these" in told
    assert "pip install --upgrade diffusers transformers" in told


def test_setting_that_is_not_known_alone_is_left_out(model: Path) -> None:
    change_json(model / "transformer" / "config.json", memory_dim=8)

    assert load(model).transformer is not None


def test_weight_that_is_not_known_alone_is_left_out(model: Path) -> None:
    add_weight(model / "transformer")

    assert load(model).transformer is not None


def test_part_of_another_class_is_told(model: Path) -> None:
    change_json(model / "model_index.json", transformer=["diffusers", "UNet2DConditionModel"])

    assert "The model in 'wan' cannot be read by diffusers" in refusal(model)


def test_refusal_ends_a_start_as_it_reads() -> None:
    assert issubclass(ModelUnusable, PipelineLoadError)
