"""Moving shapes: a small model of video and images from text or a first frame, for CPU cores.

One UNet draws the first frame from noise; another draws, from noise too, the five frames that
follow a frame, and is used three times for a clip. Both work on 4x4 patches as waves (see `fold`).
"""

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
from PIL import Image, ImageOps
from transformers import CLIPTextModelWithProjection, PreTrainedTokenizerFast

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_image

SIZE, FRAMES = 64, 16
PATCH = 4
SIDE = SIZE // PATCH
CHANNELS = 3 * PATCH**2
"""Of the latents of one frame."""
HOP = 5
"""Frames drawn at once after a frame."""
SPEED = 2
"""Pixels between a frame and its moved copy in the next."""
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
"""Across and down: where the frame before may have moved to."""
PLACES = 6
SKETCH = 8
STEPS, GUIDANCE = 24, 1.5

MEMORY = "0.5 GB of main memory, most of it the libraries'"
TESTED = "served, with the released weights"

_SHARED = {
    "prompt": declare.prompt(max_length=500)
    | {
        "description": (
            "A colour (red orange yellow green cyan blue purple white), a shape (circle square "
            "triangle), a motion (left right up down, or none) and a background (black gray navy "
            'brown), as in "a red circle moving right on a navy background", or the same in '
            "Chinese."
        ),
    },
    "negative_prompt": declare.negative_prompt(max_length=500),
    "seed": declare.seed(),
    "num_inference_steps": declare.steps(STEPS)
    | {"description": "Denoising steps in all; each part of a clip is given at least one."},
    "guidance_scale": declare.guidance(GUIDANCE, maximum=10.0),
    "resolution": declare.resolution("64x64", ("64x64",)),
    "aspect_ratio": declare.aspect_ratio("1:1", ("1:1",)),
    "output_path": declare.OUTPUT_PATH,
}
_VIDEO = {
    "target_video_length": declare.seconds(2, maximum=4)
    | {"description": "Length of the clip; its sixteen drawn frames are spread over it."},
    "fps": {
        "type": "integer",
        "default": 8,
        "minimum": 4,
        "maximum": 24,
        "unit": "frames per second",
        "description": "Frame rate of the file; drawn frames are repeated or skipped to reach it.",
    },
}
_IMAGE = {"output_format": declare.output_format()}


def _task(media_type: str, own: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {
        "media_type": media_type,
        "required_inputs": list(required),
        "optional_inputs": [],
        "parameters": {**_SHARED, **own},
    }


PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "moving_shapes",
    "supported_tasks": ["t2v", "i2v", "t2i"],
    "task_contracts": {
        "t2v": _task("video", _VIDEO),
        "i2v": _task("video", _VIDEO, "first_image_path"),
        "t2i": _task("image", _IMAGE),
    },
}

StepCallback = Callable[["MovingShapesPipeline", int, torch.Tensor, dict[str, Any]], dict[str, Any]]


@dataclass
class MovingShapesOutput(BaseOutput):
    """`frames`: a list of PIL frames per prompt, or an array (prompts, frames, 64, 64, 3)."""

    frames: list[list[Image.Image]] | np.ndarray


class Text(NamedTuple):
    """What the model is told of each text.

    `states` (texts, tokens, width) are attended to, `summary` (texts, width) steers the norms of
    every block, `sketch` (texts, 8, 16, 16) lies beside the noisy latents as more channels.
    """

    states: torch.Tensor
    summary: torch.Tensor
    sketch: torch.Tensor


class MovingShapesPipeline(DiffusionPipeline):
    """Flow matching; the UNets predict clean latents, the scheduler is given the velocity."""

    model_cpu_offload_seq = "text_encoder->unet->motion_unet"
    _callback_tensor_inputs = ("latents", "denoised")

    def __init__(
        self,
        unet: UNet2DConditionModel,
        motion_unet: UNet2DConditionModel,
        text_encoder: CLIPTextModelWithProjection,
        tokenizer: PreTrainedTokenizerFast,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(
            unet=unet,
            motion_unet=motion_unet,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            scheduler=scheduler,
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
        image: Image.Image | None = None,
        *,
        negative_prompt: str = "",
        num_frames: int = FRAMES,
        num_inference_steps: int = STEPS,
        guidance_scale: float = GUIDANCE,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = _callback_tensor_inputs,
    ) -> MovingShapesOutput:
        """Draw a clip of `num_frames` per prompt, the first one being `image` if that is given.

        Guidance steers the first frame away from the negative prompt; those after it are told by
        it and the prompt alone.

        `output_type` is "pil" or "np". The callback is given `latents`, the noisy frames that are
        being drawn, and `denoised`, what they will become as far as the model can tell yet.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        texts = [negative_prompt] * len(prompts) + prompts if guidance_scale > 1 else prompts
        guided = encode_text(self.tokenizer, self.text_encoder, texts)
        plain = Text(*(part[-len(prompts) :] for part in guided))
        hops = math.ceil((num_frames - 1) / HOP)
        shares = share_steps(num_inference_steps, hops, with_key=image is None)
        self._num_timesteps = sum(shares)
        done = 0

        def draw(
            unet: UNet2DConditionModel, text: Text, frames: int, before: torch.Tensor | None
        ) -> torch.Tensor:
            nonlocal done
            latents = self._noise(len(prompts), frames * CHANNELS, generator)
            scheduler = self.scheduler
            steps = shares.pop(0)
            scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps).tolist())
            for index, timestep in enumerate(scheduler.timesteps):
                denoised = _denoise(unet, latents, before, timestep, text, guidance_scale)
                velocity = (latents - denoised) / scheduler.sigmas[index]
                latents = scheduler.step(velocity, timestep, latents).prev_sample
                if callback_on_step_end is not None:
                    tensors = {"latents": latents, "denoised": denoised}
                    chosen = {name: tensors[name] for name in callback_on_step_end_tensor_inputs}
                    changed = callback_on_step_end(self, done, timestep, chosen) or {}
                    latents = changed.get("latents", latents)
                done += 1
                progress_bar.update()
            return unfold(latents).clamp(-1, 1)

        with self.progress_bar(total=self._num_timesteps) as progress_bar:
            if image is None:
                clip = draw(self.unet, guided, 1, None)
            else:
                clip = _clip_of(image, len(prompts))
            for _ in range(hops):
                moved = draw(self.motion_unet, plain, HOP, fold(clip[:, -1:]))
                clip = torch.cat([clip, moved], 1)
        self.maybe_free_model_hooks()
        pixels = _pixels(clip[:, :num_frames])
        if output_type == "np":
            return MovingShapesOutput(frames=pixels)
        return MovingShapesOutput(frames=[[Image.fromarray(f) for f in film] for film in pixels])

    def decode_preview(self, latents: torch.Tensor) -> Image.Image:
        """The middle one of the frames; `denoised` shows more than the noisy `latents`."""
        frames = _pixels(unfold(latents[:1]))[0]
        return Image.fromarray(frames[len(frames) // 2])

    def _noise(self, clips: int, channels: int, generator: Any) -> torch.Tensor:
        shape = (clips, channels, SIDE, SIDE)
        return randn_tensor(shape, generator, self._execution_device, self.unet.dtype)


def share_steps(steps: int, hops: int, *, with_key: bool) -> list[int]:
    """How many steps the first frame (half of them) and each hop are given, none less than one."""
    parts = hops + with_key * max(1, hops)
    per_hop = max(1, steps // max(1, parts))
    key = [max(1, steps - hops * per_hop)] if with_key else []
    return [*key, *[per_hop] * hops]


def encode_text(
    tokenizer: PreTrainedTokenizerFast,
    text_encoder: CLIPTextModelWithProjection,
    texts: Sequence[str],
) -> Text:
    """Read the texts; summary and sketch see the sum of bare word vectors, where no word drowns."""
    tokens = tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
    tokens = tokens.to(text_encoder.device)
    states = text_encoder(tokens.input_ids).last_hidden_state
    vectors = text_encoder.get_input_embeddings()(tokens.input_ids)
    words = (vectors * tokens.attention_mask[:, :, None].to(states.dtype)).sum(1)
    sketch = text_encoder.text_projection(words).unflatten(1, (SKETCH, SIDE, SIDE))
    return Text(states, words, sketch)


def predict(
    unet: UNet2DConditionModel,
    latents: torch.Tensor,
    before: torch.Tensor | None,
    timestep: torch.Tensor,
    text: Text,
) -> torch.Tensor:
    """The clean latents seen in noisy ones.

    Where there is a frame before them, the UNet says how much of each of its moved copies is seen
    at each place, and what none of them shows.
    """
    places = _places().to(latents).expand(len(latents), -1, -1, -1)
    seen = [latents, text.sketch, places]
    if before is not None:
        seen.insert(1, before)
    seen = torch.cat(seen, 1).contiguous(memory_format=torch.channels_last)
    guess = unet(seen, timestep, text.states, class_labels=text.summary).sample
    if before is None:
        return guess
    shares = guess[:, : len(MOVES)].softmax(1)
    copies = fold(_moved_copies(unfold(before)).flatten(0, 1)).unflatten(0, shares.shape[:2])
    return torch.einsum("bmyx,bmcyx->bcyx", shares, copies) + guess[:, len(MOVES) :]


def _moved_copies(frames: torch.Tensor) -> torch.Tensor:
    """Clips (frames, moves, HOP, 3, 64, 64) of frames (frames, 1, 3, 64, 64) that move away."""
    far = SPEED * HOP
    wide = torch.nn.functional.pad(frames[:, 0], (far,) * 4, mode="replicate")
    clips = [
        [
            wide[:, :, far - SPEED * time * down :, far - SPEED * time * across :][
                ..., :SIZE, :SIZE
            ]
            for time in range(1, HOP + 1)
        ]
        for across, down in MOVES
    ]
    return torch.stack([torch.stack(clip, 1) for clip in clips], 1)


def _denoise(
    unet: UNet2DConditionModel,
    latents: torch.Tensor,
    before: torch.Tensor | None,
    timestep: torch.Tensor,
    text: Text,
    guidance: float,
) -> torch.Tensor:
    repeats = len(text.states) // len(latents)
    before = None if before is None else before.repeat(repeats, 1, 1, 1)
    guess = predict(unet, latents.repeat(repeats, 1, 1, 1), before, timestep, text)
    if repeats == 1:
        return guess
    without, with_prompt = guess.chunk(2)
    return without + guidance * (with_prompt - without)


def _places() -> torch.Tensor:
    """Where a patch lies across and down the frame, (6, side, side)."""
    across = ((torch.arange(SIDE) + 0.5) / SIDE * 2 - 1).expand(SIDE, SIDE)
    waves = [wave(math.pi * axis) for wave in (torch.sin, torch.cos) for axis in (across, across.T)]
    return torch.stack([across, across.T, *waves])


def fold(clips: torch.Tensor) -> torch.Tensor:
    """Latents (clips, 48 * frames, 16, 16) of clips (clips, frames, 3, 64, 64).

    Every patch is a sum of waves (a cosine transform over frames, colours, rows and columns), and
    the higher the wave the more it is amplified: outlines are not to drown in noise and flat areas.
    """
    waves, gain = _waves(clips.shape[1])
    patches = torch.nn.functional.pixel_unshuffle(clips.flatten(1, 2), PATCH)
    return torch.einsum("wp,cpyx->cwyx", waves * gain[:, None], patches)


def unfold(latents: torch.Tensor) -> torch.Tensor:
    """The inverse of `fold`."""
    frames = latents.shape[1] // CHANNELS
    waves, gain = _waves(frames)
    patches = torch.einsum("wp,cwyx->cpyx", waves / gain[:, None], latents)
    return torch.nn.functional.pixel_shuffle(patches, PATCH).unflatten(1, (frames, 3))


def _waves(frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """An orthonormal basis of patches, a wave per row, and how much each is amplified."""
    basis, gain = torch.ones(1, 1), torch.ones(1)
    for length, amplified in ((frames, True), (3, False), (PATCH, True), (PATCH, True)):
        wave = torch.arange(length)[:, None]
        cosines = torch.cos(math.pi / length * wave * (wave.T + 0.5)) * (2 / length) ** 0.5
        cosines[0] /= 2**0.5
        basis = torch.kron(basis, cosines)
        gain = torch.kron(gain, 1.0 + amplified * wave[:, 0])
    return basis, gain / (2 * frames**0.5)


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
    for unet in (pipeline.unet, pipeline.motion_unet):
        unet.to(memory_format=torch.channels_last)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def warmup(pipeline: MovingShapesPipeline) -> None:
    """Run one step of each part, so that the first request does not pay for it."""
    pipeline("a red circle", num_inference_steps=1)


def run(pipeline: MovingShapesPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request: `frames` and `fps` for video, `images` for an image."""
    task = request["task"]
    frames = pipeline(
        request["prompt"],
        read_image(request["first_image_path"]) if task == "i2v" else None,
        negative_prompt=request.get("negative_prompt") or "",
        num_frames=1 if task == "t2i" else FRAMES,
        num_inference_steps=request.get("num_inference_steps") or STEPS,
        guidance_scale=request.get("guidance_scale") or GUIDANCE,
        generator=declare.generator(request["seed"]),
        callback_on_step_end=context.on_step_end,
    ).frames[0]
    if task == "t2i":
        return {"images": frames}
    fps = request.get("fps") or 8
    return {"frames": _spread(frames, fps * (request.get("target_video_length") or 2)), "fps": fps}


def _spread(frames: list[Image.Image], count: int) -> list[Image.Image]:
    return [frames[index * len(frames) // count] for index in range(count)]


def _clip_of(image: Image.Image, clips: int) -> torch.Tensor:
    """A clip of one frame, the middle of the image where it is not square."""
    square = ImageOps.fit(image.convert("RGB"), (SIZE, SIZE))
    pixels = torch.from_numpy(np.array(square)).movedim(-1, 0).float()
    return (pixels / 127.5 - 1).expand(clips, 1, -1, -1, -1)


def _pixels(clips: torch.Tensor) -> np.ndarray:
    pixels = (clips.movedim(2, -1).float().clamp(-1, 1) + 1) * 127.5
    return pixels.round().to(torch.uint8).cpu().numpy()
