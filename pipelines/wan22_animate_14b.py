"""Wan2.2-Animate, 17 billion parameters: the person of a picture moves and speaks as one in a film.

This file stands where speech-to-video, such as LiveAct, would: no pipeline of diffusers takes a
recording. Here the motion comes from a film of somebody who speaks, and its sound is kept: send the
film, or another sound, as `audio_path`; it is laid under the result and moves nothing.

The film itself is not what the model reads. `pose_video_path` (a drawn skeleton) and
`face_video_path` (a square of the face), and for `replace` also `ref_video_path` (the film, the
person cut out) and `mask_video_path` (white where the person is), come from the preprocessing of
the model's authors, which diffusers does not have: src_pose, src_face, src_bg and src_mask of
preprocess_data.py in github.com/Wan-Video/Wan2.2. They are read at 30 frames a second, and the
result is as long as the shortest.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from diffusers import UniPCMultistepScheduler, WanAnimatePipeline

from telefuser_grpc.errors import InvalidFields, Violation
from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.clips import read_sound
from telefuser_grpc.pipeline.media import read_frames, read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted, size_of

MODEL = "Wan-AI/Wan2.2-Animate-14B-Diffusers"
MEMORY = "weights 48 GB in bfloat16; 35 GB, the denoiser's, with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
FPS = 30
WINDOW = 77
"""Frames made at once; each window but the first begins with the last frame of the one before."""

PARAMETERS = {
    "prompt": {
        "type": "string",
        "default": "视频中的人在做动作",
        "max_length": 2000,
        "description": 'What is seen; the model knows "the person in the video moves" best.',
    },
    "negative_prompt": declare.negative_prompt(),
    "seed": declare.seed(),
    "resolution": declare.resolution_of_image("720p", ("480p", "720p"))
    | {"description": "Size of the result: its pixels, in the aspect of the pose clip."},
    "target_video_length": declare.seconds(20, maximum=20)
    | {"description": "How much of the clips is used at most, from their beginnings."},
    "width": declare.side("width", maximum=1280, multiple=16),
    "height": declare.side("height", maximum=1280, multiple=16),
    "num_inference_steps": declare.steps(20),
    "guidance_scale": declare.guidance(1.0),
    "output_path": declare.OUTPUT_PATH,
}
CLIP = {"max_aspect_ratio": 8, "max_pixels": 1280 * 720}  # twenty seconds of four are in memory
LIMITS = {
    "first_image_path": {"max_aspect_ratio": 8},
    "pose_video_path": CLIP,
    "face_video_path": CLIP,
}
CLIPS = {"pose_video": "pose_video_path", "face_video": "face_video_path"}
SCENE = {"background_video": "ref_video_path", "mask_video": "mask_video_path"}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "wan22_animate_14b",
    "supported_tasks": ["animate", "replace"],
    "supported_media_types": ["video"],
    "task_contracts": {
        "animate": {
            "media_type": "video",
            "required_inputs": ["first_image_path", *CLIPS.values()],
            "optional_inputs": ["audio_path"],
            "input_limits": LIMITS,
            "max_pixels": declare.max_pixels("720p", multiple=16),
            "parameters": PARAMETERS,
        },
        "replace": {
            "media_type": "video",
            "required_inputs": ["first_image_path", *CLIPS.values(), *SCENE.values()],
            "optional_inputs": ["audio_path"],
            "input_limits": LIMITS | {"ref_video_path": CLIP, "mask_video_path": CLIP},
            "max_pixels": declare.max_pixels("720p", multiple=16),
            "parameters": PARAMETERS,
        },
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> WanAnimatePipeline:
    """Load the model."""
    pipe = load_model(WanAnimatePipeline, MODEL, options, parallelism=parallelism, float32=("vae",))
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=5.0)
    return pipe


def run(pipe: WanAnimatePipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request; the picture is laid whole into the frame, on black."""
    image = read_image(request["first_image_path"])
    clips = _clips(request)
    count = min(map(len, clips.values()))
    window = min(WINDOW, math.ceil((count - 1) / 4) * 4 + 1)
    windows = math.ceil((count - 1) / (window - 1))
    width, height = size_of(request, multiple=16, like=clips["pose_video"][0])
    face = pipe.transformer.config.motion_encoder_size
    sizes = dict.fromkeys(clips, (width, height)) | {"face_video": (face, face)}
    frames = pipe(
        image=image,
        **{name: [fitted(each, sizes[name]) for each in clips[name][:count]] for name in clips},
        mode=request["task"],
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        width=width,
        height=height,
        segment_frame_length=window,
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=request["guidance_scale"],
        generator=declare.generator(request["seed"]),
        output_type="np",
        callback_on_step_end=_counted(context, request["num_inference_steps"] * windows),
    ).frames[0]
    return {"frames": frames, "fps": FPS, "audio": _sound(request, seconds=count / FPS)}


def _clips(request: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the frames of every clip, by the names that the model has for them."""
    fields = CLIPS | SCENE if request["task"] == "replace" else CLIPS
    limit = request["target_video_length"] * FPS
    clips = {name: read_frames(request[fields[name]], limit=limit, fps=FPS) for name in fields}
    for name, frames in clips.items():
        if len(frames) < 2:
            text = "has a single frame; send a clip"
            raise InvalidFields([Violation(fields[name], text, "value_error")])
    return clips


def _counted(context: Any, steps: int) -> Callable[..., dict[str, Any]]:
    """Return a callback that counts the steps of all windows; the model begins anew in each."""
    done = itertools.count(1)

    def on_step_end(
        pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        context.progress(next(done), steps)
        return tensors

    return on_step_end


def _sound(request: Mapping[str, Any], *, seconds: float) -> Any:
    """Return the sound that is given, or else that of a clip."""
    fields = ("audio_path", "face_video_path", "pose_video_path")
    sounds = (read_sound(request[name], seconds=seconds) for name in fields if request.get(name))
    return next((sound for sound in sounds if sound), None)
