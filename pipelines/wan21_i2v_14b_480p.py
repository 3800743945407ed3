"""Wan2.1 image-to-video at 480p, 14 billion parameters: five seconds, seven at most.

The clip is shaped like its first picture, which is cut to whole multiples of 16 pixels.
"""

from collections.abc import Mapping
from typing import Any

from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted, frame_count, size_of

MODEL = "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers"
MEMORY = "weights 47 GB in bfloat16; 33 GB, the denoiser's, with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 16

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "wan21_i2v_14b_480p",
    "supported_tasks": ["i2v"],
    "task_contracts": {
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": [],
            "input_limits": {"first_image_path": {"max_aspect_ratio": 8}},
            "max_pixels": declare.max_pixels("480p", multiple=16),
            "parameters": {
                "prompt": declare.prompt(example="The cat lifts its head and yawns"),
                "negative_prompt": declare.negative_prompt(),
                "seed": declare.seed(),
                "resolution": declare.resolution_of_image("480p", ("480p",)),
                "target_video_length": declare.seconds(5, maximum=7),
                "num_frames": declare.frames(maximum=121),
                "width": declare.side("width", maximum=1792, multiple=16),
                "height": declare.side("height", maximum=1792, multiple=16),
                "num_inference_steps": declare.steps(40),
                "guidance_scale": declare.guidance(5.0),
                "output_path": declare.OUTPUT_PATH,
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> WanImageToVideoPipeline:
    """Load the model; it looks at the picture in full precision."""
    pipe = load_model(
        WanImageToVideoPipeline,
        MODEL,
        options,
        parallelism=parallelism,
        float32=("vae", "image_encoder"),
    )
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=3.0)
    return pipe


def run(pipe: WanImageToVideoPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    image = read_image(request["first_image_path"])
    width, height = size_of(request, multiple=16, like=image)
    frames = pipe(
        image=fitted(image, (width, height)),
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        width=width,
        height=height,
        num_frames=frame_count(request, fps=FPS),
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=request["guidance_scale"],
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": FPS}
