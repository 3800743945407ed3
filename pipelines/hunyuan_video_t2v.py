"""HunyuanVideo text-to-video, 13 billion parameters: five seconds at 720p on a GPU of 80 GB.

Its guidance is learnt and costs nothing; a `true_cfg_scale` over 1 makes the negative prompt count
and every step twice as long. Where memory is short set TELEFUSER_VAE_TILING as well.
"""

from collections.abc import Mapping
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

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "hunyuan_video_t2v",
    "supported_tasks": ["t2v"],
    "task_contracts": {
        "t2v": {
            "media_type": "video",
            "parameters": {
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
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> HunyuanVideoPipeline:
    """Load the model."""
    return load_model(HunyuanVideoPipeline, MODEL, options, parallelism=parallelism)


def run(pipe: HunyuanVideoPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
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
        true_cfg_scale=request["true_cfg_scale"],
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": FPS}
