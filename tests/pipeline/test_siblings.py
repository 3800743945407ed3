"""Two pipelines on one set of weights."""

from typing import Any

import pytest

from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.siblings import sibling

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")


@pytest.fixture
def pipe() -> Any:
    from tests.pipelines.tiny import wan

    made = diffusers.WanPipeline(**wan.parts(), transformer=wan.transformer())
    return made.to(torch.bfloat16)


def test_sibling_has_the_very_parts_and_their_precision(pipe: Any) -> None:
    other = sibling(diffusers.WanImageToVideoPipeline, pipe, ModelOptions())

    assert other.transformer is pipe.transformer
    assert other.vae is pipe.vae
    assert other.transformer.dtype == torch.bfloat16


def test_setting_of_its_own_leaves_the_first_as_it_was(pipe: Any) -> None:
    shifted = diffusers.UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=5.0)

    other = sibling(
        diffusers.WanImageToVideoPipeline,
        pipe,
        ModelOptions(),
        scheduler=shifted,
        expand_timesteps=True,
    )

    assert (other.scheduler, other.config.expand_timesteps) == (shifted, True)
    assert (pipe.scheduler is shifted, pipe.config.expand_timesteps) == (False, False)
