"""LTX-2.3 image-to-video with sound, 22 billion parameters: five seconds on a GPU of 80 GB.

The clip has the shape of its picture. This is the model's first stage, at the full size; the
second, an upsampler of latents and a refinement by a LoRA, has weights that are not part of the
model's directory, and is not served.
"""

from collections.abc import Mapping
from typing import Any

from diffusers import LTX2ImageToVideoPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted, frame_count, size_of

MODEL = "diffusers/LTX-2.3-Diffusers"
MEMORY = "75 GB in bfloat16, a third of it the text encoder; 46 GB with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 24
NEGATIVE = "worst quality, inconsistent motion, blurry, jittery, distorted, static"

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "ltx2_i2v",
    "supported_tasks": ["i2v"],
    "task_contracts": {
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": [],
            "input_limits": {"first_image_path": {"max_aspect_ratio": 8}},
            "max_pixels": declare.max_pixels("1080p", multiple=64),
            "parameters": {
                "prompt": declare.prompt(example='She turns to us and says: "Good morning."'),
                "negative_prompt": declare.negative_prompt(NEGATIVE),
                "seed": declare.seed(),
                "resolution": declare.resolution_of_image("720p", ("480p", "720p", "1080p")),
                "target_video_length": declare.seconds(5, maximum=20),
                "num_frames": declare.frames(maximum=481, every=8),
                "width": declare.side("width", maximum=1920, multiple=64),
                "height": declare.side("height", maximum=1920, multiple=64),
                "num_inference_steps": declare.steps(30),
                "guidance_scale": declare.guidance(3.0),
                "audio_guidance_scale": declare.guidance(7.0),
                "output_path": declare.OUTPUT_PATH,
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> LTX2ImageToVideoPipeline:
    """Load the model; the directory of a text-to-video one has the same parts."""
    return load_model(
        LTX2ImageToVideoPipeline, MODEL, options, parallelism=parallelism, also=("LTX2Pipeline",)
    )


def run(pipe: LTX2ImageToVideoPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    image = read_image(request["first_image_path"])
    width, height = size_of(request, multiple=64, like=image)
    made = pipe(
        image=fitted(image, (width, height)),
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        width=width,
        height=height,
        num_frames=frame_count(request, fps=FPS, every=8),
        frame_rate=float(FPS),
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=request["guidance_scale"],
        audio_guidance_scale=request["audio_guidance_scale"],
        generator=declare.generator(request["seed"]),
        output_type="np",
    )
    sound = (made.audio[0], pipe.vocoder.config.output_sampling_rate)
    return {"frames": made.frames[0], "fps": FPS, "audio": sound}
