"""LTX-Video, 2 billion parameters: text or a picture becomes five seconds on a GPU of 12 GB.

A clip made from a picture has its shape. One set of weights serves both tasks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import LTXImageToVideoPipeline, LTXPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.siblings import sibling
from telefuser_grpc.pipeline.sizes import fitted, frame_count, size_of
from telefuser_grpc.pipeline.tuning import device

MODEL = "Lightricks/LTX-Video"
MEMORY = "15 GB in bfloat16, most of it the text encoder; 10 GB with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 25
NEGATIVE = "worst quality, inconsistent motion, blurry, jittery, distorted"

COMMON = {
    "prompt": declare.prompt(example="A clear blue lake between snowy mountains, drone shot"),
    "negative_prompt": declare.negative_prompt(NEGATIVE),
    "seed": declare.seed(),
    "resolution": declare.resolution("480p", ("480p", "540p", "720p")),
    "target_video_length": declare.seconds(5, maximum=10),
    "num_frames": declare.frames(maximum=257, every=8),
    "width": declare.side("width", maximum=1280, multiple=32),
    "height": declare.side("height", maximum=1280, multiple=32),
    "num_inference_steps": declare.steps(50),
    "guidance_scale": declare.guidance(3.0),
    "output_path": declare.OUTPUT_PATH,
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "ltx_video",
    "supported_tasks": ["t2v", "i2v"],
    "task_contracts": {
        "t2v": {
            "media_type": "video",
            "parameters": COMMON | {"aspect_ratio": declare.aspect_ratio()},
        },
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": [],
            "parameters": COMMON,
        },
    },
}


@dataclass(frozen=True)
class LTXVideo:
    """The model, for words alone and for a picture."""

    text: LTXPipeline
    picture: LTXImageToVideoPipeline


def get_pipeline(parallelism: int, options: ModelOptions) -> LTXVideo:
    """Load the model."""
    also = (LTXImageToVideoPipeline.__name__,)
    text = load_model(LTXPipeline, MODEL, options, parallelism=parallelism, also=also)
    return LTXVideo(text, sibling(LTXImageToVideoPipeline, text, options))


def run(model: LTXVideo, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    pipe, inputs = _inputs(model, request)
    frames = pipe(
        **inputs,
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        num_frames=frame_count(request, fps=FPS, every=8),
        frame_rate=FPS,
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=request["guidance_scale"],
        decode_timestep=0.05,
        decode_noise_scale=0.025,
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": FPS}


def _inputs(model: LTXVideo, request: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    if request["task"] == "t2v":
        width, height = size_of(request, multiple=32)
        noise = declare.generator(request["seed"])
        return model.text, {"width": width, "height": height, "generator": noise}
    image = read_image(request["first_image_path"])
    width, height = size_of(request, multiple=32, like=image)
    picture = fitted(image, (width, height))
    noise = _picture_noise(model, request["seed"])
    return model.picture, {"image": picture, "width": width, "height": height, "generator": noise}


def _picture_noise(model: LTXVideo, seed: int) -> torch.Generator:
    """Return the noise of a request; models from 0.9.1 on decode with some of the device's own."""
    if not model.picture.vae.config.timestep_conditioning:
        return declare.generator(seed)
    return torch.Generator(device()).manual_seed(seed)
