"""Wan2.1 image-to-video with an acceleration adapter: eight steps, no guidance, 832x480.

The adapter was made for few steps and guidance of 1; it is merged into the weights. Pictures of
another shape are cut, from their middle.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.adapters import find_adapter
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted, frame_count

MODEL = "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers"
ADAPTER = "lightx2v/Wan2.1-I2V-14B-480P-StepDistill-CfgDistill-Lightx2v"
ADAPTER_FILE = "loras/Wan21_I2V_14B_lightx2v_cfg_step_distill_lora_rank64.safetensors"
MEMORY = "weights 47 GB in bfloat16; 33 GB, the denoiser's, with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 16
WIDTH, HEIGHT = SIZE = (832, 480)

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "wan21_i2v_14b_lora",
    "supported_tasks": ["i2v"],
    "task_contracts": {
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": [],
            "parameters": {
                "prompt": declare.prompt(example="The cat lifts its head and yawns"),
                "seed": declare.seed(),
                "resolution": declare.choice(
                    "832x480", ("832x480",), "Width and height of the result."
                ),
                "target_video_length": declare.seconds(5, maximum=5),
                "num_frames": declare.frames(maximum=81),
                "num_inference_steps": declare.steps(8, maximum=40),
                "output_path": declare.OUTPUT_PATH,
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> WanImageToVideoPipeline:
    """Load the model and merge the adapter into it, before those of the operator."""
    adapter = find_adapter(ADAPTER, ADAPTER_FILE, options)
    pipe = load_model(
        WanImageToVideoPipeline,
        MODEL,
        replace(options, loras=(f"{adapter}:1.0", *options.loras)),
        parallelism=parallelism,
        float32=("vae", "image_encoder"),
    )
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=5.0)
    return pipe


def run(pipe: WanImageToVideoPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    frames = pipe(
        image=fitted(read_image(request["first_image_path"]), SIZE),
        prompt=request["prompt"],
        width=WIDTH,
        height=HEIGHT,
        num_frames=frame_count(request, fps=FPS),
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=1.0,
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames, "fps": FPS}
