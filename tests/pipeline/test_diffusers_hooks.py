"""Any diffusers pipeline tells of its steps and stops, without its file's help."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from telefuser_grpc.errors import TaskCancelled
from telefuser_grpc.pipeline.context import JobContext
from telefuser_grpc.pipeline.diffusers_hooks import diffusers_pipelines, hooked
from tests.fakes.pipelines import (
    Watcher,
    tiny_image_to_image,
    tiny_wan,
    wan_call,
    without_callback,
)

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

# The schedulers of diffusers warn of their own defaults and of their use of numpy.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def wan() -> Any:
    torch.set_num_threads(1)
    return tiny_wan()


def test_every_step_of_a_call_is_reported_once(wan: Any) -> None:
    watcher = Watcher()

    with hooked(wan, JobContext(watcher.context)):
        wan(**wan_call())

    assert watcher.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_watching_changes_no_byte_of_the_result(wan: Any) -> None:
    unwatched = wan(**wan_call()).frames

    with hooked(wan, JobContext(Watcher(preview_interval_seconds=0).context)):
        watched = wan(**wan_call()).frames

    assert watched.tobytes() == unwatched.tobytes()


def test_a_cancel_stops_before_the_next_step_and_leaves_the_pipeline_usable(wan: Any) -> None:
    before = wan(**wan_call()).frames
    watcher = Watcher(cancel_after=2)

    with pytest.raises(TaskCancelled), hooked(wan, JobContext(watcher.context)):
        wan(**wan_call())
    after = wan(**wan_call()).frames

    assert watcher.steps == [(1, 4), (2, 4)]
    assert after.tobytes() == before.tobytes()


def test_a_cancelled_run_does_not_begin_another_call(wan: Any) -> None:
    watcher = Watcher()
    watcher.cancelled.set()

    with pytest.raises(TaskCancelled), hooked(wan, JobContext(watcher.context)):
        wan(**wan_call())

    assert watcher.steps == []


def test_the_class_of_a_pipeline_is_its_own_again_after_an_error(wan: Any) -> None:
    with pytest.raises(ZeroDivisionError), hooked(wan, JobContext(Watcher().context)):
        raise ZeroDivisionError

    assert type(wan) is diffusers.WanPipeline


def test_a_callback_of_the_caller_still_sees_what_it_asked_for_and_may_change_it(
    wan: Any,
) -> None:
    seen: list[tuple[int, list[str]]] = []

    def own(pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        seen.append((index, sorted(tensors)))
        return {"prompt_embeds": tensors["prompt_embeds"] + 1}

    arguments = wan_call() | {
        "callback_on_step_end": own,
        "callback_on_step_end_tensor_inputs": ["prompt_embeds"],
    }
    unwatched = wan(**arguments).frames
    seen.clear()
    watcher = Watcher()

    with hooked(wan, JobContext(watcher.context)):
        watched = wan(**arguments | {"generator": torch.Generator().manual_seed(0)}).frames

    assert seen == [(index, ["prompt_embeds"]) for index in range(4)]
    assert len(watcher.steps) == 4
    assert watched.tobytes() == unwatched.tobytes()


def test_a_callback_object_of_diffusers_is_called_with_its_tensors(wan: Any) -> None:
    class Note(diffusers.callbacks.PipelineCallback):
        seen: list[int] = []  # noqa: RUF012 - one test alone reads it

        @property
        def tensor_inputs(self) -> list[str]:
            return ["latents"]

        def callback_fn(self, pipe: Any, index: int, timestep: Any, tensors: Any) -> Any:
            self.seen.append(index)
            return tensors

    with hooked(wan, JobContext(Watcher().context)):
        wan(**wan_call(), callback_on_step_end=Note(cutoff_step_ratio=1.0))

    assert Note.seen == [0, 1, 2, 3]


def test_on_step_end_given_by_the_file_does_not_count_steps_twice(wan: Any) -> None:
    watcher = Watcher()
    context = JobContext(watcher.context)

    with hooked(wan, context):
        wan(**wan_call(), callback_on_step_end=lambda *step: context.on_step_end(*step))

    assert watcher.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_on_step_end_works_where_nothing_is_watched(wan: Any) -> None:
    watcher = Watcher()

    wan(**wan_call(), callback_on_step_end=JobContext(watcher.context).on_step_end)

    assert watcher.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_progress_of_the_file_silences_the_steps_seen_from_outside(wan: Any) -> None:
    watcher = Watcher()
    context = JobContext(watcher.context)

    def own(pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        context.progress(index + 11, 20, stage="second half")
        return tensors

    with hooked(wan, context):
        wan(**wan_call(), callback_on_step_end=own)

    assert watcher.steps == [(11, 20), (12, 20), (13, 20), (14, 20)]


def test_steps_left_out_by_image_to_image_are_not_counted() -> None:
    pipeline = tiny_image_to_image()
    watcher = Watcher()

    with hooked(pipeline, JobContext(watcher.context)):
        pipeline(
            image=Image.new("RGB", (32, 32)),
            strength=0.6,
            num_inference_steps=5,
            prompt_embeds=torch.zeros(1, 4, 32),
            negative_prompt_embeds=torch.zeros(1, 4, 32),
        )

    assert watcher.steps == [(1, 3), (2, 3), (3, 3)]


def test_the_middle_latents_become_a_small_jpeg(wan: Any) -> None:
    watcher = Watcher(preview_interval_seconds=0)

    with hooked(wan, JobContext(watcher.context)):
        wan(**wan_call())

    assert [preview.step for preview in watcher.previews] == [1, 2, 3, 4]
    assert watcher.previews[0].image.startswith(b"\xff\xd8\xff")


def test_decode_preview_of_a_pipeline_draws_the_preview(wan: Any) -> None:
    watcher = Watcher(preview_interval_seconds=0)
    shapes = []

    def decode_preview(latents: Any) -> Image.Image:
        shapes.append(tuple(latents.shape))
        return Image.new("RGB", (1000, 500))

    wan.decode_preview = decode_preview
    try:
        with hooked(wan, JobContext(watcher.context)):
            wan(**wan_call())
    finally:
        del wan.decode_preview

    assert shapes[0] == (1, 16, 2, 4, 4)
    assert len(watcher.previews) == 4


def test_a_preview_that_fails_costs_the_preview_and_not_the_task(wan: Any) -> None:
    watcher = Watcher(preview_interval_seconds=0)
    calls = []

    def decode_preview(latents: Any) -> Image.Image:
        calls.append(latents)
        raise ValueError("no such latents")

    wan.decode_preview = decode_preview
    try:
        with hooked(wan, JobContext(watcher.context)):
            wan(**wan_call())
    finally:
        del wan.decode_preview

    assert (len(watcher.steps), len(calls), watcher.previews) == (4, 1, [])


SCHEDULERS = [
    ("DDIMScheduler", {}, 4),
    ("EulerDiscreteScheduler", {}, 4),
    ("HeunDiscreteScheduler", {}, 7),
    ("UniPCMultistepScheduler", {}, 4),
    ("DPMSolverSinglestepScheduler", {}, 4),
    ("FlowMatchEulerDiscreteScheduler", {}, 4),
    ("PNDMScheduler", {"skip_prk_steps": True}, 5),
]


@pytest.mark.parametrize(("name", "options", "steps"), SCHEDULERS)
def test_without_a_callback_the_schedulers_steps_are_counted(
    name: str, options: dict[str, Any], steps: int
) -> None:
    pipeline = without_callback(getattr(diffusers, name)(**options))
    watcher = Watcher()

    with hooked(pipeline, JobContext(watcher.context)):
        pipeline()
        pipeline()

    once = [(step + 1, steps) for step in range(steps)]
    assert watcher.steps == once + once


@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler"])
def test_without_a_callback_left_out_steps_are_not_counted(name: str) -> None:
    pipeline = without_callback(getattr(diffusers, name)(), skip=2)
    watcher = Watcher()

    with hooked(pipeline, JobContext(watcher.context)):
        pipeline(num_inference_steps=5)

    assert watcher.steps == [(1, 3), (2, 3), (3, 3)]


def test_without_a_callback_a_single_step_is_counted() -> None:
    pipeline = without_callback(diffusers.DDIMScheduler())
    watcher = Watcher()

    with hooked(pipeline, JobContext(watcher.context)):
        pipeline(num_inference_steps=1)
        pipeline(num_inference_steps=1)

    assert watcher.steps == [(1, 1), (1, 1)]


def test_without_a_callback_a_cancel_stops_and_leaves_the_pipeline_usable() -> None:
    pipeline = without_callback(diffusers.EulerDiscreteScheduler())
    before = pipeline()
    watcher = Watcher(cancel_after=2)

    with pytest.raises(TaskCancelled), hooked(pipeline, JobContext(watcher.context)):
        pipeline()

    assert watcher.steps == [(1, 4), (2, 4)]
    assert type(pipeline.scheduler) is diffusers.EulerDiscreteScheduler
    assert torch.equal(pipeline(), before)


def test_a_copy_of_the_scheduler_steps_itself_and_is_not_watched() -> None:
    pipeline = without_callback(diffusers.FlowMatchEulerDiscreteScheduler(), copies=True)
    unwatched = pipeline()
    watcher = Watcher(preview_interval_seconds=0)
    shapes = []

    def decode_preview(latents: Any) -> Image.Image:
        shapes.append(tuple(latents.shape))
        return Image.new("RGB", (8, 8))

    pipeline.decode_preview = decode_preview
    with hooked(pipeline, JobContext(watcher.context)):
        watched = pipeline()

    assert watcher.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert shapes == [(1, 4, 8, 8)] * 4
    assert torch.equal(watched, unwatched)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda pipeline: pipeline,
        lambda pipeline: SimpleNamespace(inner=pipeline, name="wrapper"),
        lambda pipeline: {"base": pipeline, "same": pipeline},
        lambda pipeline: [pipeline, "config"],
        lambda pipeline: (pipeline,),
    ],
)
def test_pipelines_are_found_one_level_down(wrap: Any) -> None:
    pipeline = without_callback(diffusers.DDIMScheduler())

    assert diffusers_pipelines(wrap(pipeline)) == [pipeline]


def test_what_is_no_diffusers_pipeline_is_left_alone() -> None:
    plain = SimpleNamespace(scheduler=diffusers.DDIMScheduler(), numbers=np.zeros(3))

    with hooked(plain, JobContext(Watcher().context)):
        assert type(plain.scheduler) is diffusers.DDIMScheduler
