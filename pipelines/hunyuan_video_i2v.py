"""HunyuanVideo image-to-video, 13 billion parameters: five seconds at 720p on a GPU of 80 GB.

The clip has the shape of its picture. A `true_cfg_scale` over 1 makes the negative prompt count
and every step twice as long. The 33-channel variant of the model, which wants a guidance of 1,
can be given as TELEFUSER_MODEL.
"""

from collections.abc import Mapping
from typing import Any

from diffusers import HunyuanVideoImageToVideoPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted, frame_count, size_of

MODEL = "hunyuanvideo-community/HunyuanVideo-I2V"
MEMORY = "43 GB of weights in bfloat16, 26 GB with TELEFUSER_OFFLOAD=model; 720p takes 20 GB more"
TESTED = "served, with tiny random weights"
FPS = 24

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "hunyuan_video_i2v",
    "supported_tasks": ["i2v"],
    "task_contracts": {
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": [],
            "input_limits": {"first_image_path": {"max_aspect_ratio": 8}},
            "max_pixels": declare.max_pixels("720p", multiple=16),
            "parameters": {
                "prompt": declare.prompt(example="The cat turns its head and yawns"),
                "negative_prompt": declare.negative_prompt(),
                "seed": declare.seed(),
                "resolution": declare.resolution_of_image("720p", ("480p", "540p", "720p")),
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


def get_pipeline(parallelism: int, options: ModelOptions) -> HunyuanVideoImageToVideoPipeline:
    """Load the model."""
    return load_model(HunyuanVideoImageToVideoPipeline, MODEL, options, parallelism=parallelism)


def run(
    pipe: HunyuanVideoImageToVideoPipeline, request: Mapping[str, Any], context: Any
) -> dict[str, Any]:
    """Serve one request."""
    image = read_image(request["first_image_path"])
    width, height = size_of(request, multiple=16, like=image)
    frames = pipe(
        image=fitted(image, (width, height)),
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        width=width,
        height=height,
        num_frames=frame_count(request, fps=FPS) + _frames_lost(pipe),
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=request["guidance_scale"],
        true_cfg_scale=request["true_cfg_scale"],
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": FPS}


def _frames_lost(pipe: HunyuanVideoImageToVideoPipeline) -> int:
    """Return how many frames, those that repeat the picture, the model's variant cuts off."""
    return 4 if pipe.transformer.config.image_condition_type == "latent_concat" else 0
