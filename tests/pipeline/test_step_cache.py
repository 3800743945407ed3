"""Step caches skip work, and forget it between runs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from telefuser_grpc.errors import TaskCancelled
from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.context import JobContext
from telefuser_grpc.pipeline.diffusers_hooks import hooked
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.siblings import sibling
from telefuser_grpc.pipeline.step_cache import enable_step_cache
from tests.fakes.pipelines import Watcher

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

# The schedulers of diffusers warn of their own defaults and of their use of numpy.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

STEPS = 8
CANCEL_AFTER = 4


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.pipelines.tiny.wan import save_wan21_t2v

    folder = tmp_path_factory.mktemp("wan")
    save_wan21_t2v(folder)
    return folder


@pytest.fixture(scope="module")
def cogvideox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.pipelines.tiny.cogvideo import save_cogvideox_t2v

    folder = tmp_path_factory.mktemp("cogvideox")
    save_cogvideox_t2v(folder)
    return folder


@pytest.fixture(params=["first_block", "taylorseer", "pyramid"])
def case(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """A pipeline that each cache works on, and the cache's name."""
    family = "cogvideox" if request.param == "pyramid" else "wan"
    return load(request.getfixturevalue(family)), request.param


def load(folder: Path) -> Any:
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe: Any, seed: int, watcher: Watcher | None = None) -> Any:
    side = 32 if type(pipe).__name__ == "WanPipeline" else 16
    with hooked(pipe, JobContext((watcher or Watcher()).context)):
        return pipe(
            "a cat in the sun",
            width=side,
            height=side,
            num_frames=5,
            num_inference_steps=STEPS,
            max_sequence_length=16,
            generator=torch.Generator().manual_seed(seed),
            output_type="pt",
        ).frames


def test_cache_changes_what_is_drawn_and_forgets_it_between_runs(
    case: tuple[Any, str],
) -> None:
    pipe, name = case
    exact = draw(pipe, 1)
    enable_step_cache(pipe, name, [pipe.transformer])

    first = draw(pipe, 1)
    with pytest.raises(TaskCancelled):
        draw(pipe, 2, Watcher(cancel_after=CANCEL_AFTER))

    assert not torch.equal(first, exact)
    assert torch.equal(draw(pipe, 1), first)


def test_pipelines_that_share_a_denoiser_share_its_cache(case: tuple[Any, str]) -> None:
    pipe, name = case
    options = ModelOptions(step_cache=name)  # type: ignore[arg-type]  # one of its words
    enable_step_cache(pipe, name, [pipe.transformer])
    other = sibling(type(pipe), pipe, options)
    other.set_progress_bar_config(disable=True)

    assert torch.equal(draw(other, 1), draw(pipe, 1))


def test_pipeline_that_cannot_run_a_cached_denoiser_is_no_sibling(wan: Path) -> None:
    with pytest.raises(ModelUnusable, match="WanVideoToVideoPipeline does not tell its passes"):
        sibling(
            diffusers.WanVideoToVideoPipeline,
            SimpleNamespace(components=_parts_of_vc(load(wan))),
            ModelOptions(step_cache="first_block"),
        )


def _parts_of_vc(pipe: Any) -> dict[str, Any]:
    wanted = ("tokenizer", "text_encoder", "transformer", "vae", "scheduler")
    return {name: pipe.components[name] for name in wanted}


@pytest.mark.parametrize("case", ["taylorseer", "pyramid"], indirect=True)
def test_cache_that_is_not_forgotten_would_show_the_cancelled_run(case: tuple[Any, str]) -> None:
    pipe, name = case
    enable_step_cache(pipe, name, [pipe.transformer])
    first = draw(pipe, 1)
    pipe.maybe_free_model_hooks = lambda: None

    with pytest.raises(TaskCancelled):
        draw(pipe, 2, Watcher(cancel_after=CANCEL_AFTER))

    assert not torch.equal(draw(pipe, 1), first)


def refusal(pipe: Any, name: str) -> str:
    with pytest.raises(ModelUnusable) as refused:
        enable_step_cache(pipe, name, [pipe.transformer])
    told = str(refused.value)
    assert told.startswith(f"TELEFUSER_STEP_CACHE={name}: ")
    assert told.endswith("; set TELEFUSER_STEP_CACHE=none, or another")
    return told


def test_pyramid_is_refused_where_guidance_is_a_pass_of_its_own(wan: Path) -> None:
    assert "WanPipeline runs its denoiser several times a step" in refusal(load(wan), "pyramid")


@pytest.mark.parametrize("name", ["first_block", "taylorseer", "pyramid"])
def test_caches_are_refused_where_passes_are_not_told_apart(name: str) -> None:
    pipe = object.__new__(diffusers.WanVideoToVideoPipeline)
    object.__setattr__(pipe, "transformer", SimpleNamespace())

    assert "WanVideoToVideoPipeline does not tell its passes apart" in refusal(pipe, name)


def test_caches_are_refused_where_the_denoiser_has_none(wan: Path) -> None:
    pipe = load(wan)
    pipe.transformer = torch.nn.Linear(1, 1)

    assert "Linear has no step caches" in refusal(pipe, "first_block")


def test_cache_that_the_library_fails_with_is_refused(wan: Path) -> None:
    pipe = load(wan)
    pipe.transformer = object.__new__(diffusers.Flux2Transformer2DModel)

    assert "Flux2Transformer2DModel fails with it" in refusal(pipe, "first_block")


def test_cache_that_finds_nothing_to_skip_is_refused(wan: Path) -> None:
    pipe = load(wan)
    pipe.transformer.blocks = torch.nn.ModuleList()

    assert "TELEFUSER_STEP_CACHE" in refusal(pipe, "first_block")
    assert "nothing that it could skip" in refusal(pipe, "taylorseer")
