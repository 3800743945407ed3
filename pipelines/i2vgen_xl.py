"""I2VGen-XL image-to-video: two seconds of 1280x720 on a GPU of 24 GB, or of 512x512 on 16 GB.

It is the model of the Image-to-Video API (`POST /generate`). The clip has the shape of its picture
unless both sides are given. The class is one that diffusers no longer develops.
"""

from collections.abc import Mapping
from typing import Any

from diffusers import I2VGenXLPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted, size_of

MODEL = "ali-vilab/i2vgen-xl"
MEMORY = "8 GB in bfloat16, 4 GB with TELEFUSER_OFFLOAD=model; 6 GB more at 512x512"
TESTED = "served, with tiny random weights"
NEGATIVE = (
    "Distorted, discontinuous, Ugly, blurry, low resolution, motionless, static, disfigured, "
    "disconnected limbs, Ugly faces, incomplete arms"
)

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "i2vgen_xl",
    "supported_tasks": ["i2v"],
    "task_contracts": {
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": [],
            "input_limits": {"first_image_path": {"max_aspect_ratio": 8}},
            "max_pixels": declare.max_pixels("720p", multiple=8),
            "parameters": {
                "prompt": declare.prompt(example="Papers fly through the air of a library"),
                "negative_prompt": declare.negative_prompt(NEGATIVE),
                "seed": declare.seed(),
                "resolution": declare.resolution_of_image("720p", ("480p", "720p")),
                "width": declare.side("width", maximum=1280, multiple=8),
                "height": declare.side("height", maximum=1280, multiple=8),
                "num_frames": {
                    "type": "integer",
                    "default": 16,
                    "minimum": 4,
                    "maximum": 32,
                    "description": "Number of frames; the model has learnt 16.",
                },
                "fps": {
                    "type": "integer",
                    "default": 8,
                    "minimum": 4,
                    "maximum": 24,
                    "description": "Frames per second; fewer show more motion between two.",
                },
                "num_inference_steps": declare.steps(50),
                "guidance_scale": declare.guidance(9.0),
                "output_path": declare.OUTPUT_PATH,
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> I2VGenXLPipeline:
    """Load the model.

    The class looks for the text encoder's last norm where transformers had it before version 5.
    """
    pipe = load_model(I2VGenXLPipeline, MODEL, options, parallelism=parallelism)
    encoder = pipe.text_encoder
    if not hasattr(encoder, "text_model"):
        object.__setattr__(encoder, "text_model", encoder)  # not as a part of itself
    return pipe


def run(pipe: I2VGenXLPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    image = read_image(request["first_image_path"])
    width, height = size_of(request, multiple=8, like=image)
    frames = pipe(
        prompt=request["prompt"],
        image=fitted(image, (width, height)),
        negative_prompt=request["negative_prompt"],
        width=width,
        height=height,
        num_frames=request["num_frames"],
        target_fps=request["fps"],
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=request["guidance_scale"],
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": request["fps"]}
