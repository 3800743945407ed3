"""HunyuanVideo-1.5 text-to-video, 8.3 billion parameters: five seconds at 480p on 24 GB and more.

Text in quotation marks within the prompt is written into the picture.
"""

from collections.abc import Mapping
from typing import Any

from diffusers import HunyuanVideo15Pipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import frame_count, size_of

MODEL = "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v"
MEMORY = "35 GB in bfloat16, 18 GB with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 24

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "hunyuan_video15_t2v",
    "supported_tasks": ["t2v"],
    "task_contracts": {
        "t2v": {
            "media_type": "video",
            "parameters": {
                "prompt": declare.prompt(example="A cat walks on the grass, realistic"),
                "negative_prompt": declare.negative_prompt(),
                "seed": declare.seed(),
                "resolution": declare.resolution("480p", ("480p",)),
                "aspect_ratio": declare.aspect_ratio(),
                "target_video_length": declare.seconds(5, maximum=5),
                "num_frames": declare.frames(maximum=121),
                "width": declare.side("width", maximum=1280, multiple=16),
                "height": declare.side("height", maximum=1280, multiple=16),
                "num_inference_steps": declare.steps(50),
                "guidance_scale": declare.guidance(6.0),
                "output_path": declare.OUTPUT_PATH,
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> HunyuanVideo15Pipeline:
    """Load the model."""
    return load_model(HunyuanVideo15Pipeline, MODEL, options, parallelism=parallelism)


def run(pipe: HunyuanVideo15Pipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request; its guidance is a part of the model, not an argument."""
    width, height = size_of(request, multiple=16)
    pipe.guider = pipe.guider.new(guidance_scale=request["guidance_scale"])
    frames = pipe(
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        width=width,
        height=height,
        num_frames=frame_count(request, fps=FPS),
        num_inference_steps=request["num_inference_steps"],
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": FPS}
