"""Wan2.1 video-to-video, 14 billion parameters: a clip of up to five seconds, made anew in words.

diffusers has no Wan2.1 class that continues a clip. `WanVideoToVideoPipeline` is the nearest: it
adds noise to the clip that is given and denoises it towards the prompt, so that the result has
the clip's shape, length and motion. `skyreels_v2.py` continues clips.
"""

import math
from collections.abc import Mapping
from typing import Any

from diffusers import UniPCMultistepScheduler, WanVideoToVideoPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_frames
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted, frame_count, size_of

MODEL = "Wan-AI/Wan2.1-T2V-14B-Diffusers"
MEMORY = "weights 41 GB in bfloat16; 29 GB, the denoiser's, with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 16

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "wan21_vc",
    "supported_tasks": ["vc"],
    "task_contracts": {
        "vc": {
            "media_type": "video",
            "required_inputs": ["ref_video_path"],
            "optional_inputs": [],
            "input_limits": {"ref_video_path": {"max_aspect_ratio": 8}},
            "max_pixels": declare.max_pixels("720p", multiple=16),
            "parameters": {
                "prompt": declare.prompt(example="The same street in deep snow"),
                "negative_prompt": declare.negative_prompt(),
                "seed": declare.seed(),
                "resolution": declare.resolution_of_image("480p", ("480p", "720p")),
                "target_video_length": declare.seconds(5, maximum=5)
                | {"description": "How much of the clip is used, from its beginning."},
                "num_frames": declare.frames(maximum=81),
                "width": declare.side("width", maximum=1280, multiple=16),
                "height": declare.side("height", maximum=1280, multiple=16),
                "strength": {
                    "type": "number",
                    "default": 0.8,
                    "minimum": 0.1,
                    "maximum": 1.0,
                    "description": "How much is made anew; of the steps, this part is done.",
                },
                "num_inference_steps": declare.steps(40),
                "guidance_scale": declare.guidance(5.0),
                "output_path": declare.OUTPUT_PATH,
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> WanVideoToVideoPipeline:
    """Load the text-to-video model, which has the same parts."""
    pipe = load_model(
        WanVideoToVideoPipeline,
        MODEL,
        options,
        parallelism=parallelism,
        float32=("vae",),
        also=("WanPipeline",),
    )
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=5.0)
    return pipe


def run(pipe: WanVideoToVideoPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request; a clip that is shorter than asked stays as short."""
    wanted = frame_count(request, fps=FPS)
    clip = read_frames(request["ref_video_path"], limit=wanted, fps=FPS)
    clip = clip[: (len(clip) - 1) // 4 * 4 + 1]
    width, height = size_of(request, multiple=16, like=clip[0])
    strength = request["strength"]
    frames = pipe(
        video=[fitted(image, (width, height)) for image in clip],
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        width=width,
        height=height,
        strength=strength,
        num_inference_steps=max(request["num_inference_steps"], math.ceil(1 / strength)),
        guidance_scale=request["guidance_scale"],
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": FPS}
