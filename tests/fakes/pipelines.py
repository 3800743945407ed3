"""Diffusers pipelines with tiny random weights, pipeline files, and jobs for them."""

import copy
import textwrap
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telefuser_grpc.domain.job import Job
from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.pipeline.context import RunContext


def write_file(folder: Path, source: str, *, name: str = "pipeline.py") -> Path:
    """Writes a pipeline file."""
    path = folder / name
    path.write_text(textwrap.dedent(source))
    return path


def make_job(
    folder: Path,
    *,
    output_name: str = "t.mp4",
    media_type: str = "video",
    fields: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Job:
    """Makes the first attempt of the task `t`, which writes into a folder."""
    return Job(
        task_id="t",
        attempt=1,
        kind="t2v",
        media_type=media_type,
        fields=fields or {},
        inputs=inputs or {},
        output_folder=str(folder),
        output_name=output_name,
    )


class Watcher:
    """Keeps what a run reports, and cancels it after a step if it is told to."""

    def __init__(
        self, *, cancel_after: int | None = None, preview_interval_seconds: float = 3600.0
    ) -> None:
        self.cancelled = threading.Event()
        self.progress: list[Progress] = []
        self.previews: list[Preview] = []
        self._cancel_after = cancel_after
        self.context = RunContext(self._note, self.cancelled, preview_interval_seconds)

    @property
    def steps(self) -> list[tuple[int, int]]:
        """The reported steps, each with the number of all."""
        return [(each.step, each.steps) for each in self.progress]

    def _note(self, update: Progress | Preview) -> None:
        if isinstance(update, Preview):
            self.previews.append(update)
            return
        self.progress.append(update)
        if update.step == self._cancel_after:
            self.cancelled.set()


def tiny_wan() -> Any:
    """Builds a WanPipeline, which takes a callback; call it with `WAN_CALL`."""
    import torch
    from diffusers import (
        AutoencoderKLWan,
        FlowMatchEulerDiscreteScheduler,
        WanPipeline,
        WanTransformer3DModel,
    )

    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=16,
            out_channels=16,
            text_dim=32,
            freq_dim=64,
            ffn_dim=32,
            num_layers=1,
            rope_max_seq_len=64,
        )
        vae = AutoencoderKLWan(
            base_dim=3,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
        )
    return _quiet(
        WanPipeline(
            tokenizer=None,
            text_encoder=None,
            vae=vae,
            transformer=transformer,
            scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        )
    )


def wan_call(*, seed: int = 0) -> dict[str, Any]:
    """Returns the arguments of a short call of `tiny_wan()`: 4 steps, 5 frames of 32x32."""
    import torch

    return {
        "prompt_embeds": torch.zeros(1, 4, 32),
        "negative_prompt_embeds": torch.zeros(1, 4, 32),
        "height": 32,
        "width": 32,
        "num_frames": 5,
        "num_inference_steps": 4,
        "generator": torch.Generator().manual_seed(seed),
        "output_type": "np",
    }


def tiny_image_to_image() -> Any:
    """Builds a StableDiffusionImg2ImgPipeline, which leaves out steps by its strength."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionImg2ImgPipeline,
        UNet2DConditionModel,
    )

    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            block_out_channels=(32, 64),
            layers_per_block=1,
            sample_size=32,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=8,
        )
        vae = AutoencoderKL(
            block_out_channels=[32, 64],
            down_block_types=["DownEncoderBlock2D"] * 2,
            up_block_types=["UpDecoderBlock2D"] * 2,
            latent_channels=4,
        )
    return _quiet(
        StableDiffusionImg2ImgPipeline(
            tokenizer=None,
            text_encoder=None,
            vae=vae,
            unet=unet,
            scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    )


def without_callback(scheduler: Any, *, skip: int = 0, copies: bool = False) -> Any:
    """Builds a diffusers pipeline whose call takes no callback.

    `skip` leaves out the first steps, as image-to-image does; `copies` steps a copy of the
    scheduler beside it, as pipelines with sound do.
    """
    import torch
    from diffusers import DiffusionPipeline

    class WithoutCallback(DiffusionPipeline):
        def __init__(self, scheduler: Any) -> None:
            super().__init__()
            self.register_modules(scheduler=scheduler)

        def __call__(self, *, num_inference_steps: int = 4, seed: int = 0) -> Any:
            self.scheduler.set_timesteps(num_inference_steps)
            other = copy.deepcopy(self.scheduler) if copies else None
            timesteps = self.scheduler.timesteps[skip:]
            if skip and hasattr(self.scheduler, "set_begin_index"):
                self.scheduler.set_begin_index(skip)
            sound = torch.zeros(1, 4, 2, 2)
            latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
            for timestep in timesteps:
                if other is not None:
                    other.step(sound * 0.1, timestep, sound)
                latents = self.scheduler.step(latents * 0.1, timestep, latents, return_dict=False)[
                    0
                ]
            return latents

    return _quiet(WithoutCallback(scheduler))


def _quiet(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
