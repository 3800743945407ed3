"""Pipeline files make tasks together as they make each alone: tiny models, without a service."""

import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from telefuser_grpc.domain.job import Job
from telefuser_grpc.pipeline.loader import LoadedPipeline, load
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.rendering import Rendering
from telefuser_grpc.pipeline.runner import render, render_batch
from tests.fakes.media_files import noise
from tests.fakes.pipelines import Watcher, make_job
from tests.fakes.service import ROOT

pytest.importorskip("diffusers")
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

CLIP = {"num_frames": 5}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "wan21_t2v_1_3b": ("wan", "save_wan21_t2v", CLIP),
    "wan21_t2v_14b": ("wan", "save_wan21_t2v", CLIP),
    "wan22_t2v_a14b": ("wan", "save_wan22_t2v", CLIP),
    "wan22_ti2v_5b": ("wan", "save_wan22_ti2v", CLIP),
    "hunyuan_video_t2v": ("hunyuan", "save_hunyuan_video_t2v", CLIP | {"true_cfg_scale": 2.0}),
    "hunyuan_video15_t2v": ("hunyuan15", "save_hunyuan_video15_t2v", CLIP),
    "cogvideox_t2v": ("cogvideo", "save_cogvideox_t2v", {"num_frames": 9}),
    "cogvideox_i2v": ("cogvideo", "save_cogvideox_i2v", {"num_frames": 9}),
    "ltx_video": ("ltx", "save_ltx_video", {"num_frames": 9}),
    "qwen_image": ("qwen", "save_qwen_image", {}),
    "z_image_turbo": ("qwen", "save_z_image", {"guidance_scale": 2.0}),
    "flux2_klein": ("pictures", "save_flux2_klein", {"guidance_scale": 2.0}),
}
HAVE_NO_PREVIEWS = ("ltx_video",)
SMALL = {"width": 80, "height": 64, "num_inference_steps": 3}
ORDERS: list[dict[str, Any]] = [
    {"prompt": "a cat", "negative_prompt": "a dog in the sea, a car in the sea", "seed": 1},
    {"prompt": 'a dog in the "sun", ' * 8, "seed": 1},
    {"prompt": "a cat", "seed": 2},
]
"""Prompts of different lengths, the same noise twice, the same prompt twice."""
TOLERANCE = 1e-5


@dataclass(frozen=True)  # without slots: what is to be watched is looked for in __dict__
class Unrounded:
    """A diffusers pipeline whose pictures are numbers from 0 to 1, not yet 8 bits."""

    pipe: Any

    def __call__(self, **called: Any) -> Any:
        return self.pipe(**called | {"output_type": "np"})


@dataclass(frozen=True, slots=True)
class Made:
    """What became of an order."""

    rendering: Any
    watcher: Watcher

    @property
    def frames(self) -> Any:
        """All pictures."""
        assert isinstance(self.rendering, Rendering)
        return np.asarray(self.rendering.frames)

    @property
    def preview(self) -> Any:
        """The last preview."""
        image = Image.open(io.BytesIO(self.watcher.previews[-1].image))
        return np.asarray(image, dtype=float)


@dataclass(frozen=True, slots=True)
class Studio:
    """A pipeline file with a tiny model, and the orders that it was given."""

    loaded: LoadedPipeline
    jobs: list[Job]

    @property
    def has_previews(self) -> bool:
        """Tells whether its latents can be shown."""
        return self.loaded.contract.pipeline_name not in HAVE_NO_PREVIEWS

    def alone(self) -> list[Made]:
        """Makes one after the other."""
        watchers = [Watcher(preview_interval_seconds=0) for _ in self.jobs]
        return [
            Made(render(self.loaded, job, watcher.context), watcher)
            for job, watcher in zip(self.jobs, watchers, strict=True)
        ]

    def together(self) -> list[Made]:
        """Makes them as a batch."""
        watchers = [Watcher(preview_interval_seconds=0) for _ in self.jobs]
        renderings = render_batch(self.loaded, self.jobs, [each.context for each in watchers])
        return [Made(*each) for each in zip(renderings, watchers, strict=True)]


@pytest.fixture(scope="module", params=MODELS)
def studio(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    torch.set_num_threads(1)
    module, save, fields = MODELS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    getattr(importlib.import_module(f"tests.pipelines.tiny.{module}"), save)(folder)
    path = ROOT / "pipelines" / f"{request.param}.py"
    loaded = load(path, task=None, parallelism=1, options=ModelOptions(model=str(folder)))
    jobs = [_job(loaded, folder, SMALL | fields | order) for order in ORDERS]
    if "output_type" not in path.read_text():
        loaded = replace(loaded, pipeline=Unrounded(loaded.pipeline))
    yield Studio(loaded, jobs)
    loaded.close()


def _job(loaded: LoadedPipeline, folder: Path, fields: dict[str, Any]) -> Job:
    task = next(each for each in loaded.contract.tasks.values() if each.batching)
    inputs = {name: _picture(folder, fields) for name in task.required_inputs}
    known = {name: value for name, value in fields.items() if name in task.parameters}
    job = make_job(folder, fields=task.complete(known | inputs), inputs=inputs)
    return replace(job, kind=task.kind)


def _picture(folder: Path, order: dict[str, Any]) -> str:
    """Draws a picture that no other order has, of another shape than those of other prompts."""
    length = len(order["prompt"])
    path = folder / f"{length}-{order['seed']}.png"
    path.write_bytes(noise(width=60 + length, height=85))
    return str(path)


def test_each_of_a_batch_is_made_and_shown_as_if_alone(studio: Studio) -> None:
    alone = studio.alone()

    together = studio.together()

    for one, other in zip(alone, together, strict=True):
        assert one.frames.shape == other.frames.shape
        assert np.allclose(one.frames, other.frames, rtol=0, atol=TOLERANCE)
        assert other.watcher.steps == one.watcher.steps == [(1, 3), (2, 3), (3, 3)]
        if studio.has_previews:
            assert len(other.watcher.previews) == 3
            assert abs(one.preview - other.preview).mean() < 1
    for first, second in [(0, 1), (0, 2), (1, 2)]:
        difference = abs(together[first].frames - together[second].frames).max()
        assert difference > 10 * TOLERANCE
    if studio.has_previews:
        assert abs(together[0].preview - together[2].preview).mean() > 10


def test_all_that_shapes_the_denoising_must_agree(studio: Studio) -> None:
    each_for_itself = {"prompt", "negative_prompt", "seed", "output_format", "output_path"}

    (task,) = (each for each in studio.loaded.contract.tasks.values() if each.batching)

    assert task.batching is not None
    assert set(task.batching.keys) == set(task.parameters) - each_for_itself


def test_every_file_that_makes_tasks_together_is_tried() -> None:
    files = (ROOT / "pipelines").glob("*.py")

    found = {path.stem for path in files if "def run_batch(" in path.read_text()}

    assert found == set(MODELS)
