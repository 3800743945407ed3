"""SkyReels-V2 by diffusion forcing, 14 billion parameters: text, a picture or a clip goes on.

This file stands where LongCat-Video would: diffusers has no class for that model. SkyReels-V2 is
the nearest that it has, one set of weights for text-to-video, image-to-video and the continuation
of clips, and is served here as what it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffusers import (
    SkyReelsV2DiffusionForcingImageToVideoPipeline,
    SkyReelsV2DiffusionForcingPipeline,
    SkyReelsV2DiffusionForcingVideoToVideoPipeline,
    UniPCMultistepScheduler,
)

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_frames, read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.siblings import sibling
from telefuser_grpc.pipeline.sizes import fitted, frame_count, size_of

MODEL = "Skywork/SkyReels-V2-DF-14B-720P-Diffusers"
MEMORY = "weights 41 GB in bfloat16; 29 GB, the denoiser's, with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 24
WINDOW = 121
OVERLAP = 17
LONGEST_CLIP_SECONDS = 20

SHARED = {
    "prompt": declare.prompt(example="The cat jumps off the wall and walks away"),
    "negative_prompt": declare.negative_prompt(),
    "seed": declare.seed(),
    "width": declare.side("width", maximum=1280, multiple=16),
    "height": declare.side("height", maximum=1280, multiple=16),
    "num_inference_steps": declare.steps(30),
    "output_path": declare.OUTPUT_PATH,
}
RESOLUTIONS = ("540p", "720p")
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "skyreels_v2",
    "supported_tasks": ["t2v", "i2v", "vc"],
    "task_contracts": {
        "t2v": {
            "media_type": "video",
            "max_pixels": declare.max_pixels("720p", multiple=16),
            "parameters": SHARED
            | {
                "resolution": declare.resolution("720p", RESOLUTIONS),
                "aspect_ratio": declare.aspect_ratio(),
                "target_video_length": declare.seconds(5, maximum=5),
                "num_frames": declare.frames(maximum=WINDOW),
                "guidance_scale": declare.guidance(6.0),
            },
        },
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": [],
            "input_limits": {"first_image_path": {"max_aspect_ratio": 8}},
            "max_pixels": declare.max_pixels("720p", multiple=16),
            "parameters": SHARED
            | {
                "resolution": declare.resolution_of_image("720p", RESOLUTIONS),
                "target_video_length": declare.seconds(5, maximum=5),
                "num_frames": declare.frames(maximum=WINDOW),
                "guidance_scale": declare.guidance(5.0),
            },
        },
        "vc": {
            "media_type": "video",
            "required_inputs": ["ref_video_path"],
            "optional_inputs": [],
            "input_limits": {
                "ref_video_path": {"max_aspect_ratio": 8, "max_seconds": LONGEST_CLIP_SECONDS}
            },
            "max_pixels": declare.max_pixels("720p", multiple=16),
            "parameters": SHARED
            | {
                "resolution": declare.resolution_of_image("720p", RESOLUTIONS),
                "target_video_length": declare.seconds(4, maximum=4)
                | {"description": "How long the clip goes on after its end."},
                "guidance_scale": declare.guidance(6.0),
            },
        },
    },
}


@dataclass(frozen=True)
class SkyReels:
    """The three pipelines; they share all weights."""

    from_text: SkyReelsV2DiffusionForcingPipeline
    from_image: SkyReelsV2DiffusionForcingImageToVideoPipeline
    from_clip: SkyReelsV2DiffusionForcingVideoToVideoPipeline


def get_pipeline(parallelism: int, options: ModelOptions) -> SkyReels:
    """Load the model once; with a picture its schedule is shifted less towards noise."""
    pipe = load_model(
        SkyReelsV2DiffusionForcingPipeline,
        MODEL,
        options,
        parallelism=parallelism,
        float32=("vae",),
    )
    usual = pipe.scheduler.config
    pipe.scheduler = UniPCMultistepScheduler.from_config(usual, flow_shift=8.0)
    less = UniPCMultistepScheduler.from_config(usual, flow_shift=5.0)
    return SkyReels(
        pipe,
        sibling(SkyReelsV2DiffusionForcingImageToVideoPipeline, pipe, options, scheduler=less),
        sibling(SkyReelsV2DiffusionForcingVideoToVideoPipeline, pipe, options),
    )


def run(pipes: SkyReels, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    if request.get("ref_video_path"):
        return {"frames": continued(pipes.from_clip, request), "fps": FPS}
    frames = frame_count(request, fps=FPS)
    if not request.get("first_image_path"):
        size = size_of(request, multiple=16)
        made = pipes.from_text(**asked(request, size, frames))
    else:
        image = read_image(request["first_image_path"])
        size = size_of(request, multiple=16, like=image)
        made = pipes.from_image(image=fitted(image, size), **asked(request, size, frames))
    return {"frames": made.frames[0], "fps": FPS}


def continued(
    pipe: SkyReelsV2DiffusionForcingVideoToVideoPipeline, request: Mapping[str, Any]
) -> list[Any]:
    """Return a clip and what comes after it; the model sees the last frames of the clip."""
    clip = read_frames(request["ref_video_path"], limit=LONGEST_CLIP_SECONDS * FPS, fps=FPS)
    size = size_of(request, multiple=16, like=clip[0])
    shown = [fitted(image, size) for image in clip]
    seen = shown[-((min(len(shown), OVERLAP) - 1) // 4 * 4 + 1) :]
    frames = len(seen) + request["target_video_length"] * FPS
    made = pipe(video=seen, overlap_history=len(seen), **asked(request, size, frames))
    return shown + made.frames[0][2 * len(seen) :]


def asked(request: Mapping[str, Any], size: tuple[int, int], frames: int) -> dict[str, Any]:
    """Return what all three are told; a whole clip is one window."""
    return {
        "prompt": request["prompt"],
        "negative_prompt": request["negative_prompt"],
        "width": size[0],
        "height": size[1],
        "num_frames": frames,
        "base_num_frames": frames,
        "num_inference_steps": request["num_inference_steps"],
        "guidance_scale": request["guidance_scale"],
        "fps": FPS,
        "generator": declare.generator(request["seed"]),
        "output_type": "pil",
    }
