"""A part whose files lack weights is refused while it is read, but for what may be absent."""

import threading
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.completeness import all_weights_needed
from tests.fakes.models import change_json

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")


@pytest.fixture
def denoiser(tmp_path: Path) -> Path:
    from tests.pipelines.tiny.wan import transformer

    transformer().save_pretrained(tmp_path / "wan" / "transformer")
    return tmp_path / "wan" / "transformer"


def drop(part: Path, *names: str) -> None:
    """Takes weights out of a part's file."""
    from safetensors.torch import load_file, save_file

    (path,) = part.glob("*.safetensors")
    weights = load_file(path)
    for name in names:
        del weights[name]
    save_file(weights, path, metadata={"format": "pt"})


def read(part: Path, reader: Any) -> Any:
    with all_weights_needed(part.parent, default="org/model"):
        return reader.from_pretrained(part, local_files_only=True)


def test_one_weight_too_few_is_told(denoiser: Path) -> None:
    drop(denoiser, "blocks.1.attn1.to_q.weight")

    with pytest.raises(ModelUnusable) as refused:
        read(denoiser, diffusers.WanTransformer3DModel)

    told = str(refused.value)
    assert "The model in 'wan' is not whole: the files of transformer lack 1 of the weights" in told
    assert "that its config.json asks for, as blocks.1.attn1.to_q.weight; download it with" in told
    assert "`hf download org/model" in told


def test_weight_that_has_the_name_of_another_is_not_lacking(tmp_path: Path) -> None:
    from tests.pipelines.tiny.text import umt5_encoder

    part = tmp_path / "t5" / "text_encoder"
    umt5_encoder().save_pretrained(part)

    encoder = read(part, transformers.UMT5EncoderModel)

    assert encoder.encoder.embed_tokens.weight is encoder.shared.weight


def test_count_that_old_files_do_not_have_is_not_lacking(tmp_path: Path) -> None:
    part = tmp_path / "unet" / "counter"

    class Counter(diffusers.ModelMixin, diffusers.ConfigMixin):  # type: ignore[misc, name-defined]
        config_name = "config.json"

        @diffusers.configuration_utils.register_to_config  # type: ignore[untyped-decorator]
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(2)

    Counter().save_pretrained(part)
    drop(part, "norm.num_batches_tracked")

    assert read(part, Counter) is not None
    drop(part, "norm.running_mean")
    with pytest.raises(ModelUnusable, match=r"as norm\.running_mean"):
        read(part, Counter)


def test_who_asks_for_what_was_read_is_told(denoiser: Path) -> None:
    with all_weights_needed(denoiser.parent, default="org/model"):
        model, told = diffusers.WanTransformer3DModel.from_pretrained(
            denoiser, output_loading_info=True
        )

    assert isinstance(model, diffusers.WanTransformer3DModel)
    assert told["missing_keys"] == []


def test_libraries_are_as_they_were_afterwards(denoiser: Path) -> None:
    change_json(denoiser / "config.json", num_layers=3)
    before = [vars(each)["from_pretrained"] for each in bases()]

    with pytest.raises(ModelUnusable):
        read(denoiser, diffusers.WanTransformer3DModel)

    assert [vars(each)["from_pretrained"] for each in bases()] == before
    assert diffusers.WanTransformer3DModel.from_pretrained(denoiser) is not None


def test_libraries_are_as_they_were_after_two_threads(tmp_path: Path) -> None:
    before = [vars(each)["from_pretrained"] for each in bases()]
    begun = threading.Event()

    def read_nothing() -> None:
        with all_weights_needed(tmp_path, default="org/model"):
            begun.set()
            ended.wait()

    other, ended = threading.Thread(target=read_nothing), threading.Event()
    with all_weights_needed(tmp_path, default="org/model"):
        other.start()
        has_overlapped = begun.wait(0.1)
    ended.set()
    other.join()

    assert not has_overlapped
    assert [vars(each)["from_pretrained"] for each in bases()] == before


def bases() -> list[Any]:
    return [diffusers.ModelMixin, transformers.PreTrainedModel]
