"""Text-to-image models, each served with a tiny one: qwen_image, z_image_turbo, flux2_klein."""

import base64
import importlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

MODELS = {
    "qwen_image": ("qwen", "save_qwen_image"),
    "z_image_turbo": ("qwen", "save_z_image"),
    "flux2_klein": ("pictures", "save_flux2_klein"),
}
PICTURE = {"task": "t2i", "width": 80, "height": 64, "num_inference_steps": 2}


@pytest.fixture(scope="module", params=MODELS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(request.param)
    with serve(f"{request.param}.py", folder, _saver(*MODELS[request.param])) as served:
        yield served


def _saver(module: str, name: str) -> Callable[[Path], None]:
    save: Callable[[Path], None] = getattr(
        importlib.import_module(f"tests.pipelines.tiny.{module}"), name
    )
    return save


def test_picture_has_the_size_type_and_steps_that_were_asked(served: Served) -> None:
    made = served.make(**PICTURE, output_format="webp")

    assert made.picture == ("WEBP", (80, 64))
    assert made.steps == [1, 2]
    assert "preview" in {event.name for event in made.events}


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**PICTURE, seed=7)
    other = served.make(**PICTURE, seed=8)

    ended = served.cancel_at_first_step(**PICTURE | {"num_inference_steps": 100})

    assert ended == "cancelled"
    assert served.make(**PICTURE, seed=7).data == first.data != other.data


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 4096), ("resolution", "640x480"), ("aspect_ratio", "5:1"), ("output_format", "gif")],
)
def test_picture_that_the_model_cannot_make_is_refused(
    served: Served, field: str, value: Any
) -> None:
    answer = served.post(**PICTURE | {field: value})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]


@pytest.mark.parametrize("kind", ["edit", "i2i"])
@pytest.mark.parametrize("served", ["flux2_klein"], indirect=True)
def test_edit_is_another_picture_than_that_of_the_words(served: Served, kind: str) -> None:
    words = served.make(**PICTURE)

    edit = served.make(**PICTURE | {"task": kind}, first_image_path=_small_picture())

    assert edit.picture == ("PNG", (80, 64))
    assert edit.data != words.data


def _small_picture() -> str:
    """Returns a picture smaller than any model takes."""
    file = io.BytesIO()
    Image.radial_gradient("L").resize((48, 40)).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
