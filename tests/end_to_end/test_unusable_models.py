"""A service whose model cannot be served ends its start with a sentence that says what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.models import change_json, write_model
from tests.fakes.service import ROOT, Service

pytest.importorskip("diffusers")

DOWNLOAD = "hf download Wan-AI/Wan2.1-T2V-1.3B-Diffusers"


def _empty(folder: Path) -> None:
    folder.mkdir()


def _other_family(folder: Path) -> None:
    write_model(folder)
    change_json(folder / "model_index.json", _class_name="LTXPipeline")


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (_empty, "The directory 'model' holds no diffusers model: it has no model_index.json"),
        (_other_family, "The model in 'model' is a LTXPipeline, and this file serves WanPipeline"),
    ],
)
def test_start_ends_with_the_sentence_and_no_path(
    tmp_path: Path, write: Callable[[Path], None], told: str
) -> None:
    model = tmp_path / "model"
    write(model)
    service = Service(ROOT / "pipelines" / "wan21_t2v_1_3b.py", tmp_path, model=model)

    service.launch()
    code = service.exit_code()
    service.log.close()

    last = service.log.text.splitlines()[-1]
    assert code == 1
    assert last.startswith(f"error: the pipeline cannot be loaded: {told}")
    assert DOWNLOAD in last
    assert "Traceback" not in service.log.text
    assert str(tmp_path) not in last
