"""HunyuanVideo-1.5 image-to-video, 8.3 billion parameters: five seconds at 480p on 24 GB and more.

The model chooses the size: its own number of pixels in the shape nearest to the picture's.
"""

from collections.abc import Mapping
from typing import Any

from diffusers import HunyuanVideo15ImageToVideoPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import frame_count

MODEL = "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_i2v"
MEMORY = "36 GB in bfloat16, 18 GB with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 24

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "hunyuan_video15_i2v",
    "supported_tasks": ["i2v"],
    "task_contracts": {
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": [],
            "input_limits": {"first_image_path": {"max_aspect_ratio": 8}},
            "parameters": {
                "prompt": declare.prompt(example="The cat turns its head and yawns"),
                "negative_prompt": declare.negative_prompt(),
                "seed": declare.seed(),
                "resolution": declare.resolution_of_image("480p", ("480p",)),
                "target_video_length": declare.seconds(5, maximum=5),
                "num_frames": declare.frames(maximum=121),
                "num_inference_steps": declare.steps(50),
                "guidance_scale": declare.guidance(6.0),
                "output_path": declare.OUTPUT_PATH,
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> HunyuanVideo15ImageToVideoPipeline:
    """Load the model."""
    return load_model(HunyuanVideo15ImageToVideoPipeline, MODEL, options, parallelism=parallelism)


def run(
    pipe: HunyuanVideo15ImageToVideoPipeline, request: Mapping[str, Any], context: Any
) -> dict[str, Any]:
    """Serve one request; its guidance is a part of the model, not an argument."""
    pipe.guider = pipe.guider.new(guidance_scale=request["guidance_scale"])
    frames = pipe(
        image=read_image(request["first_image_path"]),
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        num_frames=frame_count(request, fps=FPS),
        num_inference_steps=request["num_inference_steps"],
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": FPS}
