"""Wan2.2 text- and image-to-video on one model of 5 billion parameters: five seconds at 24 fps.

A first picture shapes the clip, and is cut to whole multiples of 32 pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline, WanPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.siblings import sibling
from telefuser_grpc.pipeline.sizes import fitted, frame_count, size_of

MODEL = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"
MEMORY = "weights 24 GB in bfloat16; 12 GB, the text encoder's, with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 24

PARAMETERS = {
    "prompt": declare.prompt(example="A cat surfs a wave at sunset"),
    "negative_prompt": declare.negative_prompt(),
    "seed": declare.seed(),
    "target_video_length": declare.seconds(5, maximum=5),
    "num_frames": declare.frames(maximum=121),
    "width": declare.side("width", maximum=1280, multiple=32),
    "height": declare.side("height", maximum=1280, multiple=32),
    "num_inference_steps": declare.steps(50),
    "guidance_scale": declare.guidance(5.0),
    "output_path": declare.OUTPUT_PATH,
}
RESOLUTIONS = ("480p", "720p")
OF_WORDS = PARAMETERS | {
    "resolution": declare.resolution("480p", RESOLUTIONS),
    "aspect_ratio": declare.aspect_ratio(),
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "wan22_ti2v_5b",
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
            "parameters": PARAMETERS
            | {"resolution": declare.resolution_of_image("480p", RESOLUTIONS)},
        },
    },
}


@dataclass(frozen=True)
class Wan22:
    """Both pipelines; they share all weights."""

    from_text: WanPipeline
    from_image: WanImageToVideoPipeline


def get_pipeline(parallelism: int, options: ModelOptions) -> Wan22:
    """Load the model once; a frame that is given has no noise, so each has its own timestep.

    Clips that are made together are decoded one by one, in the memory of one.
    """
    pipe = load_model(
        WanPipeline,
        MODEL,
        options,
        parallelism=parallelism,
        float32=("vae",),
        expand_timesteps=True,
    )
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=5.0)
    pipe.vae.enable_slicing()
    return Wan22(pipe, sibling(WanImageToVideoPipeline, pipe, options, expand_timesteps=True))


def run(pipes: Wan22, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    return run_batch(pipes, [request], [context])[0]


def run_batch(
    pipes: Wan22, requests: Sequence[Mapping[str, Any]], contexts: Sequence[Any]
) -> list[dict[str, Any]]:
    """Serve requests that agree in the keys of `batch`; only of words are there several."""
    shared = requests[0]
    path = shared.get("first_image_path")
    image = read_image(path) if path else None
    width, height = size_of(shared, multiple=32, like=image)
    pipe = pipes.from_image if image else pipes.from_text
    clips = pipe(
        **({"image": fitted(image, (width, height))} if image else {}),
        prompt=[each["prompt"] for each in requests],
        negative_prompt=[each["negative_prompt"] for each in requests],
        width=width,
        height=height,
        num_frames=frame_count(shared, fps=FPS),
        num_inference_steps=shared["num_inference_steps"],
        guidance_scale=shared["guidance_scale"],
        generator=[declare.generator(each["seed"]) for each in requests],
        output_type="np",
    ).frames
    return [{"frames": frames, "fps": FPS} for frames in clips]
