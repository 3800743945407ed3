"""LTX-Video, 2 billion parameters: text or a picture becomes five seconds on a GPU of 12 GB.

A clip made from a picture has its shape. One set of weights serves both tasks.
"""

from collections.abc import Mapping, Sequence
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

RESOLUTIONS = ("480p", "540p", "720p")
OF_PICTURES = {
    "prompt": declare.prompt(example="A clear blue lake between snowy mountains, drone shot"),
    "negative_prompt": declare.negative_prompt(NEGATIVE),
    "seed": declare.seed(),
    "resolution": declare.resolution_of_image("480p", RESOLUTIONS),
    "target_video_length": declare.seconds(5, maximum=10),
    "num_frames": declare.frames(maximum=257, every=8),
    "width": declare.side("width", maximum=1280, multiple=32),
    "height": declare.side("height", maximum=1280, multiple=32),
    "num_inference_steps": declare.steps(50),
    "guidance_scale": declare.guidance(3.0),
    "output_path": declare.OUTPUT_PATH,
}
OF_WORDS = OF_PICTURES | {
    "resolution": declare.resolution("480p", RESOLUTIONS),
    "aspect_ratio": declare.aspect_ratio(),
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "ltx_video",
    "supported_tasks": ["t2v", "i2v"],
    "task_contracts": {
        "t2v": {
            "media_type": "video",
            "max_pixels": declare.max_pixels("720p", multiple=32),
            "parameters": OF_WORDS,
            "batch": declare.batch(OF_WORDS, max_size=4),
        },
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": [],
            "input_limits": {"first_image_path": {"max_aspect_ratio": 8}},
            "max_pixels": declare.max_pixels("720p", multiple=32),
            "parameters": OF_PICTURES,
        },
    },
}


@dataclass(frozen=True)
class LTXVideo:
    """The model, for words alone and for a picture."""

    text: LTXPipeline
    picture: LTXImageToVideoPipeline


def get_pipeline(parallelism: int, options: ModelOptions) -> LTXVideo:
    """Load the model.

    Clips that are made together are decoded one by one, in the memory of one, where the class can:
    not those of models from 0.9.1 on.
    """
    also = (LTXImageToVideoPipeline.__name__,)
    text = load_model(LTXPipeline, MODEL, options, parallelism=parallelism, also=also)
    if not text.vae.config.timestep_conditioning:
        text.vae.enable_slicing()
    return LTXVideo(text, sibling(LTXImageToVideoPipeline, text, options))


def run(model: LTXVideo, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    return run_batch(model, [request], [context])[0]


def run_batch(
    model: LTXVideo, requests: Sequence[Mapping[str, Any]], contexts: Sequence[Any]
) -> list[dict[str, Any]]:
    """Serve requests that agree in the keys of `batch`; only of words are there several."""
    shared = requests[0]
    pipe, inputs = _inputs(model, requests)
    clips = pipe(
        **inputs,
        prompt=[each["prompt"] for each in requests],
        negative_prompt=[each["negative_prompt"] for each in requests],
        num_frames=frame_count(shared, fps=FPS, every=8),
        frame_rate=FPS,
        num_inference_steps=shared["num_inference_steps"],
        guidance_scale=shared["guidance_scale"],
        decode_timestep=0.05,
        decode_noise_scale=0.025,
        output_type="np",
    ).frames
    return [{"frames": frames, "fps": FPS} for frames in clips]


def _inputs(model: LTXVideo, requests: Sequence[Mapping[str, Any]]) -> tuple[Any, dict[str, Any]]:
    request = requests[0]
    if request["task"] == "t2v":
        width, height = size_of(request, multiple=32)
        noises = [declare.generator(each["seed"]) for each in requests]
        return model.text, {"width": width, "height": height, "generator": noises}
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
