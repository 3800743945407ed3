"""Wan2.2 text-to-video, two experts of 14 billion parameters: five seconds at 720p.

One expert denoises until the noise is down to nine tenths, the other goes on from there.
"""

from collections.abc import Mapping, Sequence
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

PARAMETERS = {
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
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "wan22_t2v_a14b",
    "supported_tasks": ["t2v"],
    "task_contracts": {
        "t2v": {
            "media_type": "video",
            "max_pixels": declare.max_pixels("720p", multiple=16),
            "parameters": PARAMETERS,
            "batch": declare.batch(PARAMETERS, max_size=2),
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> WanPipeline:
    """Load both experts.

    Their schedule is shifted towards noise; clips that are made together are decoded one by one, in
    the memory of one.
    """
    pipe = load_model(
        WanPipeline,
        MODEL,
        options,
        parallelism=parallelism,
        float32=("vae",),
        boundary_ratio=BOUNDARY,
    )
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=12.0)
    pipe.vae.enable_slicing()
    return pipe


def run(pipe: WanPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    return run_batch(pipe, [request], [context])[0]


def run_batch(
    pipe: WanPipeline, requests: Sequence[Mapping[str, Any]], contexts: Sequence[Any]
) -> list[dict[str, Any]]:
    """Serve requests that agree in the keys of `batch`."""
    shared = requests[0]
    width, height = size_of(shared, multiple=16)
    clips = pipe(
        prompt=[each["prompt"] for each in requests],
        negative_prompt=[each["negative_prompt"] for each in requests],
        width=width,
        height=height,
        num_frames=frame_count(shared, fps=FPS),
        num_inference_steps=shared["num_inference_steps"],
        guidance_scale=shared["guidance_scale"],
        guidance_scale_2=shared["guidance_scale_2"],
        generator=[declare.generator(each["seed"]) for each in requests],
        output_type="np",
    ).frames
    return [{"frames": frames, "fps": FPS} for frames in clips]
