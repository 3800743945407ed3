"""Wan2.2 text-to-video, two experts of 14 billion parameters: five seconds at 720p.

One expert denoises until the noise is down to nine tenths, the other goes on from there.
"""

from collections.abc import Mapping
from typing import Any

from diffusers import UniPCMultistepScheduler, WanPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import frame_count, size_of

MODEL = "Wan-AI/Wan2.2-T2V-A14B-Diffusers"
MEMORY = "weights 69 GB in bfloat16; 29 GB, an expert's, with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 16
BOUNDARY = 0.9

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "wan22_t2v_a14b",
    "supported_tasks": ["t2v"],
    "task_contracts": {
        "t2v": {
            "media_type": "video",
            "parameters": {
                "prompt": declare.prompt(example="A cat surfs a wave at sunset"),
                "negative_prompt": declare.negative_prompt(),
                "seed": declare.seed(),
                "resolution": declare.resolution("720p", ("480p", "720p")),
                "aspect_ratio": declare.aspect_ratio(),
                "target_video_length": declare.seconds(5, maximum=5),
                "num_frames": declare.frames(maximum=81),
                "width": declare.side("width", maximum=1280, multiple=16),
                "height": declare.side("height", maximum=1280, multiple=16),
                "num_inference_steps": declare.steps(40),
                "guidance_scale": declare.guidance(5.0),
                "guidance_scale_2": declare.guidance_of_detail(5.0),
                "output_path": declare.OUTPUT_PATH,
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> WanPipeline:
    """Load both experts; their schedule is shifted towards noise."""
    pipe = load_model(
        WanPipeline,
        MODEL,
        options,
        parallelism=parallelism,
        float32=("vae",),
        boundary_ratio=BOUNDARY,
    )
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=12.0)
    return pipe


def run(pipe: WanPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    width, height = size_of(request, multiple=16)
    frames = pipe(
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        width=width,
        height=height,
        num_frames=frame_count(request, fps=FPS),
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=request["guidance_scale"],
        guidance_scale_2=request["guidance_scale_2"],
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": FPS}
