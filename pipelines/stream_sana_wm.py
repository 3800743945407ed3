"""SANA-WM, a world model of 1.6 billion parameters: a walk into a picture, by keys or camera poses.

Serve it with `telefuser stream-serve pipelines/stream_sana_wm.py`. Each chunk is a clip of its own
that begins with the last frame before it; what left the picture is not remembered. At the model's
own size and steps a chunk takes far longer than it lasts: ask for fewer `num_inference_steps`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from diffusers import SanaWMPipeline
from diffusers.pipelines.sana_wm.pipeline_sana_wm import DEFAULT_CHI_PROMPT
from PIL import Image

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted
from telefuser_grpc.pipeline.world import WorldService
from telefuser_grpc.pipeline.world_camera import Camera, at_the_beginning, follow, walk
from telefuser_grpc.pipeline.world_config import Intrinsics, WorldConfig
from telefuser_grpc.pipeline.world_controls import Controls
from telefuser_grpc.pipeline.world_model import Progress, WorldTraits

MODEL = "Efficient-Large-Model/SANA-WM_bidirectional-diffusers"
WIDTH, HEIGHT = 1280, 704
"""What the model has learnt."""
STRIDE = 8
VIEW_DEGREES = 80.0
"""How wide a picture is taken to be seen, where nobody knows its camera."""

TRAITS = WorldTraits(
    name="SanaWorld",
    stride=STRIDE,
    max_duration_seconds=60.0,
    takes_poses=True,
    defaults={
        "max_duration_seconds": 20.0,
        "max_sequence_length": 300,
        "num_inference_steps": 20,
        "guidance_scale": 5.0,
        "control_translation_scale": 1.0,  # these are what the model has learnt
        "control_yaw_step_degrees": 1.2,
        "control_pitch_step_degrees": 1.2,
    },
)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a walk has led: what is seen, from where, and what holds for the whole walk.

    Attributes:
        prompt: What the text encoder made of the prompts, by the name of the argument.
        chunks: How many clips led here; each has noise of its own.
    """

    picture: Image.Image
    camera: Camera
    config: WorldConfig
    prompt: dict[str, torch.Tensor]
    intrinsics: list[float]
    chunks: int = 0


@dataclass(slots=True)
class SanaWorld:
    """The model as a world; its pictures have the size `width` by `height`, multiples of 32."""

    options: ModelOptions
    gpu_num: int = 1
    width: int = WIDTH
    height: int = HEIGHT
    pipe: Any = None

    traits: ClassVar[WorldTraits] = TRAITS

    def load(self) -> None:
        """Load the model, spread over the devices."""
        self.pipe = load_model(
            SanaWMPipeline, MODEL, self.options, parallelism=self.gpu_num, float32=("vae",)
        )
        self.pipe.set_progress_bar_config(disable=True)

    def begin(self, image: Image.Image, config: WorldConfig) -> tuple[Image.Image, Place]:
        """Cut the picture to size, as the model would, and read the prompt once."""
        first = fitted(image, (self.width, self.height))
        with torch.no_grad():
            cond, cond_mask, negative, negative_mask = self.pipe.encode_prompt(
                config.prompt,
                config.negative_prompt,
                max_sequence_length=config.max_sequence_length,
                chi_prompt=DEFAULT_CHI_PROMPT,
            )
        prompt = {
            "prompt_embeds": cond,
            "prompt_attention_mask": cond_mask,
            "negative_prompt_embeds": negative,
            "negative_prompt_attention_mask": negative_mask,
        }
        camera = self._intrinsics(config.intrinsics, image)
        return first, Place(first, at_the_beginning(), config, prompt, camera)

    def generate(
        self, state: Place, controls: Controls, frames: int, progress: Progress
    ) -> tuple[Sequence[Image.Image], Place]:
        """Make one clip from the last frame on; it is cut off where nobody waits for it."""
        config = state.config
        path = way(state, controls, frames)

        def tell(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            progress(step=step + 1, total_steps=pipe.num_timesteps)
            return {}

        made = self.pipe(
            state.picture,
            config.prompt,
            c2w=[camera.pose for camera in (state.camera, *path)],
            intrinsics=state.intrinsics,
            width=self.width,
            height=self.height,
            num_frames=frames + 1,
            fps=config.fps,
            num_inference_steps=config.num_inference_steps,
            guidance_scale=config.guidance_scale,
            generator=declare.generator(config.seed + state.chunks),
            output_type="pil",
            callback_on_step_end=tell,
            **state.prompt,
        ).frames[1:]
        return made, replace(state, picture=made[-1], camera=path[-1], chunks=state.chunks + 1)

    def end(self, state: Place) -> None:
        """Hold nothing: what the walk had is in its state."""

    def _intrinsics(self, known: Intrinsics | None, image: Image.Image) -> list[float]:
        """Return focal lengths and centre, in pixels of what is cut out of the client's picture."""
        if known is None:
            focal = self.width / 2 / math.tan(math.radians(VIEW_DEGREES / 2))
            return [focal, focal, self.width / 2, self.height / 2]
        scale = max(self.width / image.width, self.height / image.height)
        wide, high = image.width * scale, image.height * scale
        return [
            known.fx * wide,
            known.fy * high,
            known.cx * wide - (wide - self.width) / 2,
            known.cy * high - (high - self.height) / 2,
        ]


def way(place: Place, controls: Controls, frames: int) -> list[Camera]:
    """Return where the camera is at each of the frames that come."""
    if controls.poses is None:
        return walk(place.camera, controls.keys, frames, place.config)
    return follow(place.camera, controls.poses, frames, stride=STRIDE)


def get_service(
    gpu_num: int = 1, options: ModelOptions | None = None, media_roots: Sequence[str] = ()
) -> WorldService[Place]:
    """Return the world as a service."""
    return WorldService(SanaWorld(options or ModelOptions(), gpu_num), media_roots=media_roots)
