"""What a run makes does not depend on what ran before it on the same replica."""

from types import SimpleNamespace
from typing import Any

import pytest

from telefuser_grpc.errors import TaskCancelled
from telefuser_grpc.pipeline.context import JobContext
from telefuser_grpc.pipeline.diffusers_hooks import hooked
from tests.fakes.pipelines import Watcher, without_callback

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

# The schedulers of diffusers warn of their own defaults and of their use of numpy.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def remembering() -> Any:
    """Builds a pipeline whose scheduler mixes in the step before, even that of another run."""

    class Momentum(diffusers.DDIMScheduler):  # type: ignore[misc, name-defined]
        before: Any = None

        def step(self, model_output: Any, *args: Any, **kwargs: Any) -> Any:
            mixed = model_output if self.before is None else (model_output + self.before) / 2
            self.before = mixed
            return super().step(mixed, *args, **kwargs)

    return without_callback(Momentum())


def watched(pipeline: Any, watcher: Watcher | None = None, **arguments: Any) -> Any:
    with hooked(pipeline, JobContext((watcher or Watcher()).context)):
        return pipeline(**arguments)


def test_a_run_after_a_cancelled_one_makes_the_same_bytes() -> None:
    expected = watched(remembering(), seed=1)
    pipeline = remembering()

    with pytest.raises(TaskCancelled):
        watched(pipeline, Watcher(cancel_after=2), seed=2)

    assert torch.equal(watched(pipeline, seed=1), expected)
    assert torch.equal(watched(pipeline, seed=1), expected)


def test_a_scheduler_that_is_not_fresh_would_show_its_history() -> None:
    pipeline = remembering()

    assert not torch.equal(pipeline(seed=1), pipeline(seed=1))


def test_a_scheduler_that_a_run_puts_in_is_gone_with_it() -> None:
    pipeline = remembering()
    own = pipeline.scheduler

    with hooked(pipeline, JobContext(Watcher().context)):
        pipeline.scheduler = diffusers.EulerDiscreteScheduler.from_config(own.config)

    assert pipeline.scheduler is own


def test_what_is_one_scheduler_is_one_copy_wherever_it_is_held() -> None:
    inner = remembering()
    twin = without_callback(inner.scheduler)
    wrapper = SimpleNamespace(inner=inner, twin=twin, scheduler=inner.scheduler)
    original = inner.scheduler

    with hooked(wrapper, JobContext(Watcher().context)):
        held = [inner.scheduler, twin.scheduler, wrapper.scheduler]

    assert held[0] is held[1] is held[2] is not original
    assert inner.scheduler is twin.scheduler is wrapper.scheduler is original
    assert type(original).__name__ == "Momentum"
    assert original.before is None
