"""A model directory that cannot be served is refused with what to download or change."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from telefuser_grpc.pipeline.checkpoint import ModelUnusable, check_checkpoint, find_checkpoint
from telefuser_grpc.pipeline.options import ModelOptions
from tests.fakes.models import change_json, write_model, write_shards

pytest.importorskip("diffusers")

HUB_ID = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
DOWNLOAD = f"hf download {HUB_ID} --local-dir models/{HUB_ID}"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "wan")


def refusal(model: Path, *class_names: str) -> str:
    with pytest.raises(ModelUnusable) as refused:
        check_checkpoint(model, default=HUB_ID, class_names=class_names or ("WanPipeline",))
    assert str(model.parent) not in str(refused.value)
    return str(refused.value)


def nowhere(options: ModelOptions) -> str:
    with pytest.raises(ModelUnusable) as refused:
        find_checkpoint(HUB_ID, options)
    return str(refused.value)


def test_whole_model_is_good(model: Path) -> None:
    check_checkpoint(model, default=HUB_ID, class_names=("WanPipeline",))


def test_model_of_another_class_with_the_same_parts_is_good(model: Path) -> None:
    check_checkpoint(model, default=HUB_ID, class_names=("LTXPipeline", "WanPipeline"))


def test_empty_directory_is_no_model(tmp_path: Path) -> None:
    told = refusal(tmp_path)

    assert "has no model_index.json" in told
    assert DOWNLOAD in told


@pytest.mark.parametrize("text", ["{", "[]", "version https://git-lfs.github.com/spec/v1"])
def test_index_that_is_no_object_is_told(model: Path, text: str) -> None:
    (model / "model_index.json").write_text(text)

    assert "model_index.json in 'wan' is no JSON object" in refusal(model)


def test_other_family_is_named_beside_what_is_served(model: Path) -> None:
    told = refusal(model, "LTXPipeline", "LTXImageToVideoPipeline")

    assert "is a WanPipeline, and this file serves LTXPipeline or LTXImageToVideoPipeline" in told
    assert DOWNLOAD in told


def _without(*names: str) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        for name in names:
            path = model / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def _cut(model: Path) -> None:
    path = model / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def _point(model: Path) -> None:
    path = model / "text_encoder" / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def _lose_shards(model: Path) -> None:
    write_shards(model / "transformer", count=3, missing=[2, 3])


def _page(model: Path) -> None:
    (model / "vae" / "config.json").write_text("<!DOCTYPE html><title>Not found</title>")


def _interrupt(model: Path) -> None:
    path = model / "transformer" / "diffusion_pytorch_model.safetensors"
    path.rename(path.with_name("0123abc.incomplete"))


def _take_variant(model: Path) -> None:
    path = model / "vae" / "diffusion_pytorch_model.safetensors"
    path.rename(path.with_name("diffusion_pytorch_model.fp16.safetensors"))


def _lose_blob(model: Path) -> None:
    path = model / "vae" / "diffusion_pytorch_model.safetensors"
    path.unlink()
    path.symlink_to(model / "blobs" / "0123abc")


def _lose_shard_index(model: Path) -> None:
    write_shards(model / "transformer", count=3)
    (model / "transformer" / "diffusion_pytorch_model.safetensors.index.json").unlink()


def _lose_blob_of_shard_index(model: Path) -> None:
    write_shards(model / "transformer", count=1)
    path = model / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    path.unlink()
    path.symlink_to(model / "blobs" / "0123abc")


def _spoil_shard_index(model: Path) -> None:
    write_shards(model / "transformer", count=1)
    (model / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_without("vae"), "vae is missing"),
        (_without("transformer/config.json"), "transformer/config.json is missing"),
        (
            _without("transformer/diffusion_pytorch_model.safetensors"),
            "the weights of transformer are missing",
        ),
        (
            _without("scheduler/scheduler_config.json"),
            "scheduler/scheduler_config.json is missing",
        ),
        (_without("tokenizer/tokenizer.json"), "tokenizer/tokenizer.json or vocab.json"),
        (_cut, "vae/diffusion_pytorch_model.safetensors is cut short"),
        (_point, "text_encoder/model.safetensors is a git-lfs pointer"),
        (_page, "vae/config.json is a web page"),
        (_interrupt, "the weights of transformer are missing"),
        (_take_variant, "vae has only diffusion_pytorch_model.fp16.safetensors, a variant"),
        (_lose_blob, "vae/diffusion_pytorch_model.safetensors is missing"),
        (
            _lose_blob_of_shard_index,
            "transformer/diffusion_pytorch_model.safetensors.index.json is missing",
        ),
        (
            _lose_shard_index,
            "transformer/diffusion_pytorch_model.safetensors.index.json is missing",
        ),
        (
            _lose_shards,
            "transformer/diffusion_pytorch_model-00002-of-00003.safetensors is missing; "
            "transformer/diffusion_pytorch_model-00003-of-00003.safetensors is missing",
        ),
        (
            _spoil_shard_index,
            "transformer/diffusion_pytorch_model.safetensors.index.json lists no weights",
        ),
    ],
)
def test_download_that_broke_off_is_told_by_its_files(
    model: Path, spoil: Callable[[Path], None], told: str
) -> None:
    spoil(model)

    message = refusal(model)

    assert "The model in 'wan' is not whole" in message
    assert told in message
    assert DOWNLOAD in message


def test_shards_that_are_all_there_are_good(model: Path) -> None:
    write_shards(model / "transformer", count=3)

    check_checkpoint(model, default=HUB_ID, class_names=("WanPipeline",))


def test_many_faults_are_told_by_the_first_five(model: Path) -> None:
    write_shards(model / "transformer", count=9, missing=range(1, 10))

    assert refusal(model).count("is missing") == 5


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("transformer", ["diffusers", "Wan9Model"], "the class diffusers.Wan9Model"),
        ("text_encoder", ["transformers", "UMT9Model"], "the class transformers.UMT9Model"),
        ("refiner", ["diffusers", "WanTransformer3DModel"], "the key 'refiner'"),
        ("sparse_ratio", 0.5, "the key 'sparse_ratio'"),
    ],
)
def test_model_of_a_newer_library_is_told_with_its_version(
    model: Path, key: str, value: object, told: str
) -> None:
    change_json(model / "model_index.json", **{key: value, "_diffusers_version": "0.99.0"})

    message = refusal(model)

    assert told in message
    assert "made with diffusers 0.99.0" in message
    assert "pip install --upgrade diffusers transformers" in message


def test_part_that_a_model_does_without_is_no_sign_of_a_newer_library(model: Path) -> None:
    change_json(model / "model_index.json", safety_checker=[None, None])

    check_checkpoint(model, default=HUB_ID, class_names=("WanPipeline",))


def test_part_that_has_no_weights_by_its_class_needs_none(model: Path) -> None:
    (model / "guider").mkdir()
    change_json(
        model / "model_index.json",
        _class_name="HunyuanVideo15Pipeline",
        guider=["diffusers", "ClassifierFreeGuidance"],
        text_encoder_2=["transformers", "UMT5EncoderModel"],
    )
    shutil.copytree(model / "text_encoder", model / "text_encoder_2")

    check_checkpoint(model, default=HUB_ID, class_names=("HunyuanVideo15Pipeline",))


def test_tokenizer_of_bytes_needs_no_vocabulary(model: Path) -> None:
    change_json(model / "model_index.json", tokenizer=["transformers", "ByT5Tokenizer"])
    tokenizer = model / "tokenizer" / "tokenizer.json"
    tokenizer.rename(tokenizer.with_name("tokenizer_config.json"))

    check_checkpoint(model, default=HUB_ID, class_names=("WanPipeline",))


def test_directory_that_is_named_is_found(model: Path) -> None:
    assert find_checkpoint(HUB_ID, ModelOptions(model=str(model))) == model


def test_own_model_is_found_in_the_models_folder(tmp_path: Path) -> None:
    model = write_model(tmp_path / HUB_ID)

    assert find_checkpoint(HUB_ID, ModelOptions(models_folder=str(tmp_path))) == model


def test_named_model_is_found_in_the_models_folder(tmp_path: Path) -> None:
    model = write_model(tmp_path / "mine" / "wan")
    options = ModelOptions(model="mine/wan", models_folder=str(tmp_path))

    assert find_checkpoint(HUB_ID, options) == model


def test_model_is_found_in_the_cache_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--Wan-AI--Wan2.1-T2V-1.3B-Diffusers"
    model = write_model(repository / "snapshots" / "0123abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    (model / "vae" / "config.json").unlink()

    found = find_checkpoint(HUB_ID, ModelOptions())

    assert found == model
    assert f"The model in {repository.name!r} is not whole" in refusal(found)


def test_model_that_is_nowhere_is_told_how_to_get(tmp_path: Path) -> None:
    told = nowhere(ModelOptions(models_folder=str(tmp_path)))

    assert f"The model {HUB_ID} is not here" in told
    assert DOWNLOAD in told


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("/data/secret/wan", "'wan'"),
        ("./wan", "'wan'"),
        ("models/deep/wan", "'wan'"),
        ("mine/wan", "'mine/wan'"),
    ],
)
def test_named_model_that_is_nowhere_is_told_without_its_path(named: str, told: str) -> None:
    message = nowhere(ModelOptions(model=named))

    assert f"TELEFUSER_MODEL names {told}, which is no directory" in message
    assert "secret" not in message


def test_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.touch()

    assert "which is no directory" in nowhere(ModelOptions(model=str(path)))
