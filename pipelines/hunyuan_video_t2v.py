"""HunyuanVideo text-to-video, 13 billion parameters: five seconds at 720p on a GPU of 80 GB.

Its guidance is learnt and costs nothing; a `true_cfg_scale` over 1 makes the negative prompt count
and every step twice as long. Where memory is short set TELEFUSER_VAE_TILING as well.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from diffusers import HunyuanVideoPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import frame_count, size_of

MODEL = "hunyuanvideo-community/HunyuanVideo"
MEMORY = "42 GB of weights in bfloat16, 26 GB with TELEFUSER_OFFLOAD=model; 720p takes 20 GB more"
TESTED = "served, with tiny random weights"
FPS = 24

PARAMETERS = {
    "prompt": declare.prompt(example="A cat walks on the grass, realistic"),
    "negative_prompt": declare.negative_prompt(),
    "seed": declare.seed(),
    "resolution": declare.resolution("720p", ("480p", "540p", "720p")),
    "aspect_ratio": declare.aspect_ratio(),
    "target_video_length": declare.seconds(5, maximum=5),
    "num_frames": declare.frames(maximum=129),
    "width": declare.side("width", maximum=1280, multiple=16),
    "height": declare.side("height", maximum=1280, multiple=16),
    "num_inference_steps": declare.steps(50),
    "guidance_scale": declare.guidance(6.0),
    "true_cfg_scale": declare.guidance(1.0),
    "output_path": declare.OUTPUT_PATH,
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "hunyuan_video_t2v",
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


def get_pipeline(parallelism: int, options: ModelOptions) -> HunyuanVideoPipeline:
    """Load the model; what is made together is decoded one by one, in the memory of one."""
    pipe = load_model(HunyuanVideoPipeline, MODEL, options, parallelism=parallelism)
    pipe.vae.enable_slicing()
    return pipe


def run(pipe: HunyuanVideoPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    return run_batch(pipe, [request], [context])[0]


def run_batch(
    pipe: HunyuanVideoPipeline, requests: Sequence[Mapping[str, Any]], contexts: Sequence[Any]
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
        true_cfg_scale=shared["true_cfg_scale"],
        generator=[declare.generator(each["seed"]) for each in requests],
        output_type="np",
    ).frames
    return [{"frames": frames, "fps": FPS} for frames in clips]
