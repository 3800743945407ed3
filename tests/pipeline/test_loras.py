"""Adapters are merged into the weights, or refused by their name."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.loras import add_loras

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
peft = pytest.importorskip("peft")

NAME = "pytorch_lora_weights.safetensors"
LAYER = "blocks.0.attn1.to_q.weight"


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of adapters for the tiny Wan model: `good`, and `wide`, of another width."""
    from tests.pipelines.tiny.wan import transformer

    folder = tmp_path_factory.mktemp("adapters")
    for name in ("good", "wide"):
        part = transformer()
        part.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False))
        layers = peft.get_peft_model_state_dict(part)
        if name == "wide":
            layers = {key: torch.cat([each, each], dim=-1) for key, each in layers.items()}
        diffusers.WanPipeline.save_lora_weights(folder / name, transformer_lora_layers=layers)
    return folder


@pytest.fixture
def pipe() -> Any:
    from tests.pipelines.tiny.wan import transformer, vae

    return diffusers.WanPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=vae(),
        scheduler=diffusers.UniPCMultistepScheduler(),
        transformer=transformer(),
    )


def weights(pipe: Any) -> Any:
    return pipe.transformer.state_dict()[LAYER].clone()


def refusal(pipe: Any, lora: str) -> str:
    with pytest.raises(ModelUnusable) as refused:
        add_loras(pipe, [lora])
    return str(refused.value)


def test_adapter_is_merged_by_its_weight_and_leaves_nothing_behind(
    pipe: Any, adapters: Path
) -> None:
    before = weights(pipe)

    add_loras(pipe, [f"{adapters / 'good' / NAME}:0.5"])
    half = weights(pipe) - before
    add_loras(pipe, [f"{adapters / 'good'}:0.5"])
    whole = weights(pipe) - before

    assert half.abs().max() > 0
    assert torch.allclose(whole, 2 * half, atol=1e-6)
    assert not hasattr(pipe.transformer, "peft_config")


def test_adapter_without_a_weight_counts_whole(pipe: Any, adapters: Path) -> None:
    before = weights(pipe)

    add_loras(pipe, [str(adapters / "good")])
    whole = weights(pipe) - before
    add_loras(pipe, [f"{adapters / 'good'}:-1"])

    assert whole.abs().max() > 0
    assert torch.allclose(weights(pipe), before, atol=1e-6)


def test_all_adapters_are_merged(pipe: Any, adapters: Path) -> None:
    before = weights(pipe)

    add_loras(pipe, [f"{adapters / 'good'}:2", f"{adapters / 'good'}:-2"])

    assert torch.allclose(weights(pipe), before, atol=1e-6)


@pytest.fixture
def experts() -> Any:
    from tests.pipelines.tiny.wan import transformer, vae

    return diffusers.WanPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=vae(),
        scheduler=diffusers.UniPCMultistepScheduler(),
        transformer=transformer(),
        transformer_2=transformer(),
        boundary_ratio=0.9,
    )


def changes(pipe: Any, lora: str) -> tuple[Any, Any]:
    """Adds an adapter and returns what it changes in each of two experts."""
    parts = (pipe.transformer, pipe.transformer_2)
    before = [part.state_dict()[LAYER].clone() for part in parts]
    add_loras(pipe, [lora])
    first, second = (
        part.state_dict()[LAYER] - old for part, old in zip(parts, before, strict=True)
    )
    return first, second


def test_adapter_is_merged_into_both_experts(experts: Any, adapters: Path) -> None:
    first, second = changes(experts, f"{adapters / 'good'}:0.5")

    assert first.abs().max() > 0
    assert torch.allclose(first, second, atol=1e-6)


def test_adapter_of_the_second_expert_leaves_the_first_alone(experts: Any, adapters: Path) -> None:
    first, second = changes(experts, f"transformer_2={adapters / 'good' / NAME}:0.5")

    assert first.abs().max() == 0
    assert second.abs().max() > 0


def test_adapter_of_the_first_expert_leaves_the_second_alone(experts: Any, adapters: Path) -> None:
    first, second = changes(experts, f"transformer={adapters / 'good'}")

    assert first.abs().max() > 0
    assert second.abs().max() == 0


def test_expert_that_the_model_does_not_have_is_told(pipe: Any, adapters: Path) -> None:
    told = refusal(pipe, f"transformer_2={adapters / 'good'}")

    assert "cannot be added to a WanPipeline: this model has no transformer_2" in told
    assert "leave `transformer_2=` out" in told


@pytest.mark.parametrize("weight", ["nan", "inf", "-inf"])
def test_weight_that_is_no_amount_is_told(pipe: Any, adapters: Path, weight: str) -> None:
    assert f"its weight is {weight}; give a number" in refusal(
        pipe, f"{adapters / 'good'}:{weight}"
    )


@pytest.mark.parametrize(
    "place",
    ["{folder}/nothing", "/no/such/file.safetensors:0.8", "nothing", "x/y.safetensors", "a=b"],
)
def test_adapter_that_is_nowhere_is_told(pipe: Any, tmp_path: Path, place: str) -> None:
    told = refusal(pipe, place.format(folder=tmp_path))

    assert "there is no such file or directory; name the file" in told
    assert str(tmp_path) not in told


def test_adapter_of_the_hub_is_found_in_its_cache(
    pipe: Any, adapters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--somebody--speedy"
    shutil.copytree(adapters / "good", repository / "snapshots" / "0123abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    before = weights(pipe)

    add_loras(pipe, ["somebody/speedy:0.8"])

    assert not torch.equal(weights(pipe), before)


def test_adapter_that_is_not_in_the_cache_of_the_hub_is_told(pipe: Any) -> None:
    told = refusal(pipe, "somebody/speedy:0.8")

    assert "The adapter 'speedy', of TELEFUSER_LORAS or of the pipeline file, cannot" in told
    assert "run `hf download somebody/speedy`" in told


def test_directory_of_several_adapters_is_told(pipe: Any, tmp_path: Path) -> None:
    for name in ("low_noise.safetensors", "high_noise.safetensors"):
        (tmp_path / name).touch()

    told = refusal(pipe, str(tmp_path))

    assert "has several adapters; name the file of one, as high_noise.safetensors" in told


def test_directory_without_adapters_is_told(pipe: Any, tmp_path: Path) -> None:
    assert "has no *.safetensors; name the file" in refusal(pipe, str(tmp_path))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty; download it again"),
        (b"<html>404</html>", "it is a web page, not the file; download it again"),
        (b"version https://git-lfs.github.com/spec/v1", "it is a git-lfs pointer"),
        (b"\xff" * 30, "it is cut short; download it again"),
    ],
)
def test_file_that_is_no_adapter_is_told_without_its_path(
    pipe: Any, tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / NAME).write_bytes(content)

    message = refusal(pipe, str(tmp_path))

    assert told in message
    assert str(tmp_path.parent) not in message


def test_adapter_without_weights_is_told(pipe: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({}, tmp_path / NAME)

    assert "it is empty, or for another model" in refusal(pipe, str(tmp_path / NAME))


def test_adapter_of_another_family_is_told(pipe: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(
        {f"unet.down.0.to_q.lora_{side}.weight": torch.zeros(4, 4) for side in ("A", "B")},
        tmp_path / NAME,
    )

    assert "it is empty, or for another model" in refusal(pipe, str(tmp_path))


def test_adapter_of_another_size_is_told(pipe: Any, adapters: Path) -> None:
    told = refusal(pipe, str(adapters / "wide"))

    assert told.startswith("The adapter 'wide', of ")
    assert "cannot be added to a WanPipeline" in told
    assert "take one that was made for this model (RuntimeError: " in told


def test_pipeline_that_takes_none_says_so() -> None:
    assert "SimpleNamespace takes no LoRA" in refusal(SimpleNamespace(), "good")


def test_nothing_is_loaded_unless_asked() -> None:
    add_loras(SimpleNamespace(), [])
