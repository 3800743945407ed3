"""Wan2.2 image-to-video in eight steps: both experts with an adapter for few steps, no guidance.

The adapters are merged into the weights. A last picture may be given too; the clip is shaped like
its first, and both are cut to whole multiples of 16 pixels.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.adapters import find_adapter
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted, frame_count, size_of

MODEL = "Wan-AI/Wan2.2-I2V-A14B-Diffusers"
ADAPTERS = "lightx2v/Wan2.2-Lightning"
HIGH_NOISE = "Wan2.2-I2V-A14B-4steps-lora-rank64-Seko-V1/high_noise_model.safetensors"
LOW_NOISE = "Wan2.2-I2V-A14B-4steps-lora-rank64-Seko-V1/low_noise_model.safetensors"
MEMORY = "weights 69 GB in bfloat16; 29 GB, an expert's, with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 16
BOUNDARY = 0.9

PARAMETERS = {
    "prompt": declare.prompt(example="The cat lifts its head and yawns"),
    "seed": declare.seed(),
    "resolution": declare.resolution_of_image("720p", ("480p", "720p")),
    "target_video_length": declare.seconds(5, maximum=5),
    "num_frames": declare.frames(maximum=81),
    "width": declare.side("width", maximum=1280, multiple=16),
    "height": declare.side("height", maximum=1280, multiple=16),
    "num_inference_steps": declare.steps(8, maximum=40),
    "output_path": declare.OUTPUT_PATH,
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "wan22_A14B_i2v_h100_distill",
    "supported_tasks": ["i2v", "fl2v"],
    "task_contracts": {
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": ["last_image_path"],
            "input_limits": {"first_image_path": {"max_aspect_ratio": 8}},
            "max_pixels": declare.max_pixels("720p", multiple=16),
            "parameters": PARAMETERS,
        },
        "fl2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path", "last_image_path"],
            "optional_inputs": [],
            "input_limits": {"first_image_path": {"max_aspect_ratio": 8}},
            "max_pixels": declare.max_pixels("720p", multiple=16),
            "parameters": PARAMETERS,
        },
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> WanImageToVideoPipeline:
    """Load both experts and merge its adapter into each."""
    high = find_adapter(ADAPTERS, HIGH_NOISE, options)
    low = find_adapter(ADAPTERS, LOW_NOISE, options)
    pipe = load_model(
        WanImageToVideoPipeline,
        MODEL,
        replace(
            options,
            loras=(f"transformer={high}:1.0", f"transformer_2={low}:1.0", *options.loras),
        ),
        parallelism=parallelism,
        float32=("vae",),
        boundary_ratio=BOUNDARY,
    )
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=5.0)
    return pipe


def run(pipe: WanImageToVideoPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    first = read_image(request["first_image_path"])
    width, height = size_of(request, multiple=16, like=first)
    last = request.get("last_image_path")
    frames = pipe(
        image=fitted(first, (width, height)),
        last_image=fitted(read_image(last), (width, height)) if last else None,
        prompt=request["prompt"],
        width=width,
        height=height,
        num_frames=frame_count(request, fps=FPS),
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=1.0,
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": FPS}
