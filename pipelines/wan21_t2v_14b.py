"""Wan2.1 text-to-video, 14 billion parameters: five seconds at 720p."""

from collections.abc import Mapping, Sequence
from typing import Any

from diffusers import UniPCMultistepScheduler, WanPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import frame_count, size_of

MODEL = "Wan-AI/Wan2.1-T2V-14B-Diffusers"
MEMORY = "weights 41 GB in bfloat16; 29 GB, the denoiser's, with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 16

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
    "output_path": declare.OUTPUT_PATH,
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "wan21_t2v_14b",
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
    """Load the model.

    Its schedule is shifted as large sizes want it; clips that are made together are decoded one by
    one, in the memory of one.
    """
    pipe = load_model(WanPipeline, MODEL, options, parallelism=parallelism, float32=("vae",))
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=5.0)
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
        generator=[declare.generator(each["seed"]) for each in requests],
        output_type="np",
    ).frames
    return [{"frames": frames, "fps": FPS} for frames in clips]
