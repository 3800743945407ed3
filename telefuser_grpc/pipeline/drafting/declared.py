"""Writes the parameters of a drafted contract, with the defaults of the class."""

import textwrap
from collections.abc import Iterator

from telefuser_grpc.pipeline.drafting.layout import spread, text
from telefuser_grpc.pipeline.drafting.limits import nearest_aspect, nearest_resolution
from telefuser_grpc.pipeline.drafting.plan import Plan

EXAMPLE = "A cat surfs a wave at sunset"
NO_WORDS = "Kept with the task; the model takes no words."
LONGEST_LINE = 60
LEAST_SIDE = 64
USUAL_STEPS, USUAL_GUIDANCE = 100, 20.0
LONGEST_PROMPT = 2000


def common_parameters(plan: Plan) -> list[str]:
    """Returns the entries that all kinds of a file declare."""
    return [*_words(plan), *_length(plan), *_sides(plan), *_denoising(plan), *_output(plan)]


def parameters_of(plan: Plan, kind: str) -> list[str]:
    """Returns the entries that one kind declares besides."""
    name = nearest_resolution(plan.size)
    if kind not in ("t2v", "t2i"):
        if not (plan.call.makes_video and plan.call.takes_size) or plan.has_one_size:
            return []
        return [f'"resolution": declare.resolution_of_image("{name}", ("{name}",))']
    if not plan.call.takes_size:
        return []
    if plan.call.makes_video:
        resolution = f'"resolution": declare.resolution("{name}", ("{name}",))'
    else:
        resolution = '"resolution": declare.exact_size(tuple(SIZES.values()))'
    aspect = nearest_aspect(plan.size)
    return [resolution, f'"aspect_ratio": declare.aspect_ratio("{aspect}", tuple(SIZES))']


def negative_default(plan: Plan) -> list[str]:
    """Returns the constant for a negative prompt of the class's own, if it is long."""
    words = _negative(plan)
    if len(words) <= LONGEST_LINE:
        return []
    lines = textwrap.wrap(words, 90, drop_whitespace=False, break_long_words=False)
    return ["NEGATIVE = (", *(f"    {text(line)}" for line in lines), ")"]


def _negative(plan: Plan) -> str:
    default = plan.call.arguments.get("negative_prompt")
    return default if isinstance(default, str) else ""


def _words(plan: Plan) -> Iterator[str]:
    if plan.has("prompt"):
        yield f'"prompt": declare.prompt(example="{EXAMPLE}")'
    else:
        lines = ('"type": "string"', '"default": ""', f'"description": "{NO_WORDS}"')
        yield "\n".join(spread('"prompt": {', lines, "}"))
    if plan.has("negative_prompt"):
        yield f'"negative_prompt": declare.negative_prompt({_negative_argument(plan)})'
    if plan.has("generator"):
        yield '"seed": declare.seed()'


def _negative_argument(plan: Plan) -> str:
    words = _negative(plan)
    if len(words) > LONGEST_PROMPT:
        return f"NEGATIVE, max_length={len(words)}"
    if len(words) > LONGEST_LINE:
        return "NEGATIVE"
    return text(words) if words else ""


def _length(plan: Plan) -> Iterator[str]:
    if not plan.call.makes_video or not (plan.call.frame_count or plan.has("video")):
        return
    frames = plan.frames
    if frames.every > 1:
        every = "" if frames.every == 4 else f", every={frames.every}"
        yield (
            f'"target_video_length": declare.seconds({frames.seconds}, maximum={frames.seconds})'
        )
        yield f'"num_frames": declare.frames(maximum={frames.most}{every})'
        return
    lines = (
        '"type": "integer"',
        f'"default": {frames.usual}',
        '"minimum": 1',
        f'"maximum": {frames.most}',
        '"description": "Number of frames."',
    )
    yield "\n".join(spread('"num_frames": {', lines, "}"))


def _sides(plan: Plan) -> Iterator[str]:
    if plan.call.enlarges or plan.has_one_size:
        return
    sides = [side for size in plan.sizes.values() for side in size]
    least = f", minimum={plan.multiple}" if min(sides) < LEAST_SIDE else ""
    for name in ("width", "height"):
        bounds = f"maximum={max(sides)}, multiple={plan.multiple}{least}"
        yield f'"{name}": declare.side("{name}", {bounds})'


def _denoising(plan: Plan) -> Iterator[str]:
    call = plan.call
    if steps := call.number("num_inference_steps"):
        bound = f", maximum={steps}" if steps > USUAL_STEPS else ""
        yield f'"num_inference_steps": declare.steps({int(steps)}{bound})'
    for name in ("guidance_scale", "true_cfg_scale"):
        if (guidance := call.number(name)) is not None:
            yield f'"{name}": declare.guidance({float(guidance)}{_guidance_bounds(guidance)})'
    if (strength := call.number("strength")) is not None and strength <= 1:
        lines = (
            '"type": "number"',
            f'"default": {float(strength)}',
            '"minimum": 0.1',
            '"maximum": 1.0',
            '"description": "How much is made anew; of the steps, this part is done."',
        )
        yield "\n".join(spread('"strength": {', lines, "}"))


def _guidance_bounds(default: float) -> str:
    if default < 1:
        return ", minimum=0.0"
    return f", maximum={default}" if default > USUAL_GUIDANCE else ""


def _output(plan: Plan) -> Iterator[str]:
    if not plan.call.makes_video:
        yield '"output_format": declare.output_format()'
    yield '"output_path": declare.OUTPUT_PATH'


def sizes_table(plan: Plan) -> list[str]:
    """Returns the constant that holds a size for each aspect ratio."""
    entries = (f'"{name}": "{width}x{height}"' for name, (width, height) in plan.sizes.items())
    return spread("SIZES = {", entries, "}")
