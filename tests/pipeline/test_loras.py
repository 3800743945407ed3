"""Adapters are merged into the weights, or refused by their name."""

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


@pytest.mark.parametrize("place", ["{folder}/nothing", "/no/such/file.safetensors:0.8", "nothing"])
def test_adapter_that_is_nowhere_is_told(pipe: Any, tmp_path: Path, place: str) -> None:
    told = refusal(pipe, place.format(folder=tmp_path))

    assert "there is no such file or directory" in told
    assert str(tmp_path) not in told


def test_adapter_that_is_not_in_the_cache_of_the_hub_is_told(pipe: Any) -> None:
    assert "TELEFUSER_LORAS: 'speedy' cannot be added" in refusal(pipe, "somebody/speedy:0.8")


def test_adapter_of_another_family_is_told(pipe: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(
        {f"unet.down.0.to_q.lora_{side}.weight": torch.zeros(4, 4) for side in ("A", "B")},
        tmp_path / NAME,
    )

    assert "is for another" in refusal(pipe, str(tmp_path))


def test_adapter_of_another_size_is_told(pipe: Any, adapters: Path) -> None:
    told = refusal(pipe, str(adapters / "wide"))

    assert "TELEFUSER_LORAS: 'wide' cannot be added to a WanPipeline" in told
    assert "size mismatch" in told


def test_file_that_is_no_adapter_is_told_without_its_path(pipe: Any, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("<html>404</html>")

    told = refusal(pipe, str(tmp_path))

    assert "cannot be added to a WanPipeline" in told
    assert str(tmp_path.parent) not in told


def test_pipeline_that_takes_none_says_so() -> None:
    assert "SimpleNamespace takes no LoRA" in refusal(SimpleNamespace(), "good")


def test_nothing_is_loaded_unless_asked() -> None:
    add_loras(SimpleNamespace(), [])
