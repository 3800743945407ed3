"""An adapter is found where its operator or the hub's cache has it, or its place is told."""

from pathlib import Path

import pytest

from telefuser_grpc.pipeline.adapters import find_adapter
from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.options import ModelOptions

hub = pytest.importorskip("huggingface_hub")

HUB_ID, FILE = "org/fast", "loras/fast.safetensors"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def write_into(cache: Path) -> Path:
    repository = cache / "models--org--fast"
    write(repository / "refs" / "main").write_text("abc")
    return write(repository / "snapshots" / "abc" / FILE)


def test_models_folder_goes_before_the_cache(tmp_path: Path, cache: Path) -> None:
    write_into(cache)
    path = write(tmp_path / "models" / HUB_ID / FILE)

    found = find_adapter(HUB_ID, FILE, ModelOptions(models_folder=str(tmp_path / "models")))

    assert found == path


def test_cache_is_looked_into(cache: Path, tmp_path: Path) -> None:
    path = write_into(cache)

    assert find_adapter(HUB_ID, FILE, ModelOptions(models_folder=str(tmp_path))) == path


def test_missing_adapter_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(ModelUnusable) as refused:
        find_adapter(HUB_ID, FILE, ModelOptions())

    assert f"hf download {HUB_ID} {FILE} --local-dir models/{HUB_ID}" in str(refused.value)
