"""Moving shapes: a small text-to-video and text-to-image model, seconds a clip on one CPU core.

The whole clip is one picture to the network: every 4x4 patch of all sixteen frames is folded into
the channels of a 16x16 grid, so a stock two-dimensional UNet denoises space and time together.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from transformers import CLIPTextModelWithProjection, PreTrainedTokenizerFast

SIZE = 64
FRAMES = 16
PATCH = 4
PLACES = 6
SKETCH = 8
STEPS = 24
GUIDANCE = 1.5

_SHARED = {
    "prompt": {
        "type": "string",
        "required": True,
        "default": "",
        "min_length": 1,
        "max_length": 500,
        "description": (
            "A colour (red orange yellow green cyan blue purple white), a shape (circle square "
            "triangle), a motion (left right up down, or none) and a background (black gray navy "
            'brown), as in "a red circle moving right on a navy background".'
        ),
    },
    "negative_prompt": {
        "type": "string",
        "default": "",
        "max_length": 500,
        "description": "What to steer away from, in the same words.",
    },
    "seed": {
        "type": "integer",
        "default": 42,
        "minimum": 0,
        "maximum": 2**63 - 1,
        "description": "Same request, same seed, same pixels.",
    },
    "num_inference_steps": {
        "type": "integer",
        "default": STEPS,
        "minimum": 1,
        "maximum": 100,
        "description": "Denoising steps.",
    },
    "guidance_scale": {
        "type": "number",
        "default": GUIDANCE,
        "minimum": 1.0,
        "maximum": 10.0,
        "description": "How strongly the prompt is followed; 1: no guidance, twice as fast.",
    },
    "resolution": {"type": "string", "default": "64x64", "enum": ["64x64"]},
    "aspect_ratio": {"type": "string", "default": "1:1", "enum": ["1:1"]},
    "output_path": {"type": "string", "default": "", "description": "File name of the result."},
}
_VIDEO = {
    "target_video_length": {
        "type": "integer",
        "default": 2,
        "minimum": 1,
        "maximum": 4,
        "unit": "seconds",
        "description": "Length of the clip; its sixteen drawn frames are spread over it.",
    },
    "fps": {
        "type": "integer",
        "default": 8,
        "minimum": 4,
        "maximum": 24,
        "unit": "frames per second",
        "description": "Frame rate of the file; drawn frames are repeated or skipped to reach it.",
    },
}
_IMAGE = {
    "output_format": {"type": "string", "default": "png", "enum": ["png", "jpg", "jpeg", "webp"]},
}


def _task(media_type: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "media_type": media_type,
        "required_inputs": [],
        "optional_inputs": [],
        "parameters": {**_SHARED, **parameters},
    }


PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "moving_shapes",
    "supported_tasks": ["t2v", "t2i"],
    "task_contracts": {"t2v": _task("video", _VIDEO), "t2i": _task("image", _IMAGE)},
}

StepCallback = Callable[["MovingShapesPipeline", int, torch.Tensor, dict[str, Any]], dict[str, Any]]


@dataclass
class MovingShapesOutput(BaseOutput):
    """`frames`: a list of PIL frames per prompt, or an array (prompts, 16, 64, 64, 3) of uint8."""

    frames: list[list[Image.Image]] | np.ndarray | torch.Tensor


class Text(NamedTuple):
    """What the model is told of each text.

    `states` (texts, tokens, width) are attended to, `summary` (texts, 2 * width) steers the norms
    of every block, `sketch` (texts, 8, 16, 16) lies beside the noisy clip as more channels.
    """

    states: torch.Tensor
    summary: torch.Tensor
    sketch: torch.Tensor


class MovingShapesPipeline(DiffusionPipeline):
    """Flow matching in pixel space; the UNet predicts the clean clip, the scheduler gets v."""

    model_cpu_offload_seq = "text_encoder->unet"
    _callback_tensor_inputs = ("latents", "denoised")

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModelWithProjection,
        tokenizer: PreTrainedTokenizerFast,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(
            unet=unet, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler
        )
        self._num_timesteps = 0

    @property
    def num_timesteps(self) -> int:
        """Steps of the current or last call."""
        return self._num_timesteps

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        negative_prompt: str = "",
        num_inference_steps: int = STEPS,
        guidance_scale: float = GUIDANCE,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = _callback_tensor_inputs,
    ) -> MovingShapesOutput:
        """Draw one clip of sixteen frames per prompt.

        `output_type` is "pil", "np" or "latent". The callback is given `latents`, the noisy clip,
        and `denoised`, what it will become as far as the model can tell yet.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        text = self._encode(prompts, negative_prompt, guided=guidance_scale > 1)
        latents = self._noise(len(prompts), generator)
        scheduler = copy.deepcopy(self.scheduler)
        sigmas = np.linspace(1, 1 / num_inference_steps, num_inference_steps)
        scheduler.set_timesteps(sigmas=sigmas.tolist(), device=latents.device)
        self._num_timesteps = len(scheduler.timesteps)
        with self.progress_bar(total=self._num_timesteps) as progress_bar:
            for index, timestep in enumerate(scheduler.timesteps):
                denoised = self._denoise(latents, timestep, text, guidance_scale)
                velocity = (latents - denoised) / scheduler.sigmas[index]
                latents = scheduler.step(velocity, timestep, latents).prev_sample
                if callback_on_step_end is not None:
                    tensors = {"latents": latents, "denoised": denoised}
                    chosen = {name: tensors[name] for name in callback_on_step_end_tensor_inputs}
                    changed = callback_on_step_end(self, index, timestep, chosen) or {}
                    latents = changed.get("latents", latents)
                progress_bar.update()
        self.maybe_free_model_hooks()
        return MovingShapesOutput(frames=_decode(latents, output_type))

    def decode_preview(self, latents: torch.Tensor) -> Image.Image:
        """The middle frame of the first clip; `denoised` shows more than the noisy `latents`."""
        return Image.fromarray(_pixels(latents[:1])[0, FRAMES // 2])

    def _encode(self, prompts: list[str], negative_prompt: str, *, guided: bool) -> Text:
        """States of the prompts, after those of the negative prompt when guided."""
        texts = [negative_prompt] * len(prompts) + prompts if guided else prompts
        return encode_text(self.tokenizer, self.text_encoder, texts)

    def _noise(self, clips: int, generator: Any) -> torch.Tensor:
        shape = (clips, FRAMES, 3, SIZE, SIZE)
        noise = randn_tensor(
            shape, generator=generator, device=self._execution_device, dtype=self.unet.dtype
        )
        return fold(noise).contiguous(memory_format=torch.channels_last)

    def _denoise(
        self, latents: torch.Tensor, timestep: torch.Tensor, text: Text, guidance: float
    ) -> torch.Tensor:
        repeats = len(text.states) // len(latents)
        guess = predict(self.unet, latents.repeat(repeats, 1, 1, 1), timestep, text)
        if repeats == 2:
            without, with_prompt = guess.chunk(2)
            guess = without + guidance * (with_prompt - without)
        return guess.clamp(-1, 1)


def encode_text(
    tokenizer: PreTrainedTokenizerFast,
    text_encoder: CLIPTextModelWithProjection,
    texts: Sequence[str],
) -> Text:
    """Read the texts; summary and sketch also see the bare word vectors, where no word drowns."""
    tokens = tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
    tokens = tokens.to(text_encoder.device)
    states = text_encoder(tokens.input_ids).last_hidden_state
    vectors = text_encoder.get_input_embeddings()(tokens.input_ids)
    said = tokens.attention_mask[:, :, None].to(states.dtype)
    words = (vectors * said).sum(1)
    side = SIZE // PATCH
    sketch = text_encoder.text_projection(words).unflatten(1, (SKETCH, side, side))
    return Text(states, torch.cat([(states * said).sum(1), words], 1), sketch)


def predict(
    unet: UNet2DConditionModel, latents: torch.Tensor, timestep: torch.Tensor, text: Text
) -> torch.Tensor:
    """The clean latents the model sees in noisy ones; it is told where each patch lies."""
    states, summary, sketch = (part.to(latents) for part in text)
    places = _places(latents.shape[-1]).to(latents).expand(len(latents), -1, -1, -1)
    seen = torch.cat([latents, places, sketch], 1).contiguous(memory_format=torch.channels_last)
    return unet(seen, timestep, states, class_labels=summary).sample


def _places(side: int) -> torch.Tensor:
    """Where a patch lies across and down the frame, (6, side, side)."""
    across = ((torch.arange(side) + 0.5) / side * 2 - 1).expand(side, side)
    waves = [wave(math.pi * axis) for wave in (torch.sin, torch.cos) for axis in (across, across.T)]
    return torch.stack([across, across.T, *waves])


def fold(clips: torch.Tensor) -> torch.Tensor:
    """Latents (clips, 768, 16, 16) of clips (clips, 16, 3, 64, 64)."""
    return torch.nn.functional.pixel_unshuffle(clips.flatten(1, 2), PATCH)


def unfold(latents: torch.Tensor) -> torch.Tensor:
    """The inverse of `fold`."""
    return torch.nn.functional.pixel_shuffle(latents, PATCH).unflatten(1, (FRAMES, 3))


def get_pipeline(parallelism: int = 1) -> MovingShapesPipeline:
    """Load the released weights; there is nothing to split, so `parallelism` changes nothing."""
    directory = Path(__file__).with_suffix("")
    if not (directory / "model_index.json").is_file():
        raise FileNotFoundError(
            f"no model in {directory}: it is part of the repository, next to this file; restore "
            "it from there, or train it as pipelines/training/moving_shapes/README.md says"
        )
    pipeline = MovingShapesPipeline.from_pretrained(
        directory, local_files_only=True, dtype=torch.float32
    )
    pipeline.unet.to(memory_format=torch.channels_last)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def warmup(pipeline: MovingShapesPipeline) -> None:
    """Run one step, so that the first request does not pay for it."""
    pipeline("a red circle", num_inference_steps=1, output_type="latent")


def run(pipeline: MovingShapesPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request: `frames` and `fps` for "t2v", `images` for "t2i"."""
    frames = pipeline(
        prompt=request["prompt"],
        negative_prompt=request.get("negative_prompt") or "",
        num_inference_steps=request.get("num_inference_steps") or STEPS,
        guidance_scale=request.get("guidance_scale") or GUIDANCE,
        generator=torch.Generator().manual_seed(request["seed"]),
        callback_on_step_end=context.on_step_end,
    ).frames[0]
    if request["task"] == "t2i":
        return {"images": [frames[FRAMES // 2]]}
    fps = request.get("fps") or 8
    return {"frames": _spread(frames, fps * (request.get("target_video_length") or 2)), "fps": fps}


def _spread(frames: list[Image.Image], count: int) -> list[Image.Image]:
    return [frames[index * len(frames) // count] for index in range(count)]


def _pixels(latents: torch.Tensor) -> np.ndarray:
    clips = unfold(latents).movedim(2, -1).float().clamp(-1, 1)
    return ((clips + 1) * 127.5).round().to(torch.uint8).cpu().numpy()


def _decode(latents: torch.Tensor, output_type: str) -> Any:
    if output_type == "latent":
        return latents
    pixels = _pixels(latents)
    if output_type == "np":
        return pixels
    return [[Image.fromarray(frame) for frame in clip] for clip in pixels]
