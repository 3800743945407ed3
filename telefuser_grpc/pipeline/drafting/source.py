"""Writes the text of a drafted pipeline file."""

import math
from collections.abc import Iterator, Sequence

from telefuser_grpc.pipeline.drafting.declared import (
    common_parameters,
    negative_default,
    parameters_of,
    sizes_table,
)
from telefuser_grpc.pipeline.drafting.layout import (
    assigned,
    bracketed,
    paragraph,
    spread,
    text,
    tuple_of,
)
from telefuser_grpc.pipeline.drafting.plan import TEXT_KINDS, Plan

REQUIRED = {
    "i2v": ("first_image_path",),
    "i2i": ("first_image_path",),
    "fl2v": ("first_image_path", "last_image_path"),
    "vc": ("ref_video_path",),
    "vsr": ("ref_video_path",),
}
LONGEST_RATIO = 8  # of the sides of a picture
PASSED_ON = ("num_inference_steps", "guidance_scale", "true_cfg_scale")


def source_of(plan: Plan) -> str:
    """Returns the text of a file, as ruff format would lay it out."""
    opening = [*_opening(plan), "", *_contract(plan)]
    functions = [_loading(plan), _run(plan)]
    if _has_batch(plan):
        functions[1:] = [_run_of_one(plan), _run_batch(plan)]
    if _media_kinds(plan):
        functions.append(_media(plan))
    return "\n\n\n".join("\n".join(each) for each in (opening, *functions)) + "\n"


def _media_kinds(plan: Plan) -> list[str]:
    return [kind for kind in plan.kinds if kind not in TEXT_KINDS]


def _has_text(plan: Plan) -> bool:
    return any(kind in TEXT_KINDS for kind in plan.kinds)


def _has_batch(plan: Plan) -> bool:
    return plan.together > 1


def _opening(plan: Plan) -> Iterator[str]:
    yield from paragraph(
        f'"""{plan.title}: {plan.class_name} of diffusers, for {", ".join(plan.kinds)}.'
    )
    yield ""
    yield from paragraph(
        "Drafted by `telefuser new-pipeline` from the model's directory and the class's own "
        "defaults; it is yours to change."
    )
    if left := plan.call.left_alone:
        yield ""
        yield from paragraph(
            f"These arguments of the class keep their defaults: {', '.join(left)}. To offer one, "
            f"declare it among the parameters and pass it on in `{_where(plan)}`."
        )
    if _has_batch(plan):
        yield ""
        yield from paragraph(
            "Several tasks are made in one call of the class, as it offers. Take `batch` out if a "
            "result then differs from that of the task alone."
        )
    yield '"""'
    yield ""
    yield from _imports(plan)
    yield ""
    yield from assigned("MODEL", text(plan.place))
    yield from assigned("MEMORY", text(plan.memory))
    if plan.call.makes_video:
        yield f"FPS = {plan.frames.fps}"
    yield from _constants(plan)


def _where(plan: Plan) -> str:
    return "run_batch" if _has_batch(plan) else "run"


def _imports(plan: Plan) -> Iterator[str]:
    if _has_strength(plan):
        yield "import math"
    yield f"from collections.abc import Mapping{', Sequence' if _has_batch(plan) else ''}"
    yield "from typing import Any"
    yield ""
    yield f"from diffusers import {plan.class_name}"
    yield ""
    yield "from telefuser_grpc.pipeline import parameters as declare"
    kinds = _media_kinds(plan)
    readers = ["read_frames"] if {"vc", "vsr"} & set(kinds) else []
    readers += ["read_image"] if {"i2v", "i2i", "fl2v"} & set(kinds) else []
    if readers:
        yield f"from telefuser_grpc.pipeline.media import {', '.join(readers)}"
    yield "from telefuser_grpc.pipeline.models import load_model"
    yield "from telefuser_grpc.pipeline.options import ModelOptions"
    if sizes := sorted(_size_functions(plan)):
        yield f"from telefuser_grpc.pipeline.sizes import {', '.join(sizes)}"


def _size_functions(plan: Plan) -> Iterator[str]:
    kinds = set(_media_kinds(plan))
    if _has_text(plan) and plan.call.takes_size:
        yield "tabled_size"
    if kinds and not plan.call.enlarges:
        yield "fitted"
        yield from () if plan.has_one_size else ("shaped_like",)
    if plan.frames.every > 1 and plan.call.makes_video and (_counts(plan) or kinds & {"vc", "vsr"}):
        yield "frame_count"


def _constants(plan: Plan) -> Iterator[str]:
    if _has_text(plan) and plan.call.takes_size:
        yield from sizes_table(plan)
    if _media_kinds(plan) and not plan.call.enlarges:
        width, height = plan.size
        yield f"SIZE = ({width}, {height})" if plan.has_one_size else f"PIXELS = {width} * {height}"
    yield from negative_default(plan)


def _contract(plan: Plan) -> Iterator[str]:
    """Writes above what is named more than once: what several kinds have in common, or a batch."""
    if len(plan.kinds) > 1:
        yield from spread("PARAMETERS = {", common_parameters(plan), "}")
    elif _has_batch(plan):
        yield from spread("PARAMETERS = {", _all_parameters(plan), "}")
    kinds = ", ".join(text(kind) for kind in plan.kinds)
    entries = (
        '"contract_version": "v1"',
        f'"pipeline_name": {text(plan.name)}',
        f'"supported_tasks": [{kinds}]',
        "\n".join(spread('"task_contracts": {', (_task(plan, kind) for kind in plan.kinds), "}")),
    )
    yield from spread("PIPELINE_CONTRACT = {", entries, "}")


def _task(plan: Plan, kind: str) -> str:
    entries = [f'"media_type": "{"video" if plan.call.makes_video else "image"}"']
    if required := REQUIRED.get(kind):
        entries += [
            f'"required_inputs": [{", ".join(text(name) for name in required)}]',
            '"optional_inputs": []',
        ]
    entries += [*_bounds(plan, REQUIRED.get(kind, ())), _parameters(plan, kind)]
    if _has_batch(plan):
        entries.append(f'"batch": declare.batch(PARAMETERS, max_size={plan.together})')
    return "\n".join(spread(f'"{kind}": {{', entries, "}"))


def _bounds(plan: Plan, inputs: Sequence[str]) -> Iterator[str]:
    """Writes how large media may be, where the model makes more than one size."""
    if plan.call.enlarges or plan.has_one_size:
        return
    if inputs:
        yield f'"input_limits": {{"{inputs[0]}": {{"max_aspect_ratio": {LONGEST_RATIO}}}}}'
    width, height = max(plan.sizes.values(), key=math.prod)
    yield f'"max_pixels": {width} * {height}'


def _parameters(plan: Plan, kind: str) -> str:
    own = parameters_of(plan, kind)
    if _has_batch(plan) or (len(plan.kinds) > 1 and not own):
        return '"parameters": PARAMETERS'
    if len(plan.kinds) == 1:
        return "\n".join(spread('"parameters": {', _all_parameters(plan), "}"))
    return "\n".join(spread('"parameters": {', ["**PARAMETERS", *own], "}"))


def _all_parameters(plan: Plan) -> list[str]:
    """Returns the entries of a file's only kind."""
    return [*common_parameters(plan), *parameters_of(plan, plan.kinds[0])]


def _loading(plan: Plan) -> Iterator[str]:
    parameters = ["parallelism: int", "options: ModelOptions"]
    yield from bracketed("def get_pipeline(", parameters, f") -> {plan.class_name}:")
    slices = _has_batch(plan) and plan.decodes_slices
    how = "; what is made together is decoded one by one" if slices else ""
    yield f'    """Load the model{how}."""'
    arguments = [plan.class_name, "MODEL", "options", "parallelism=parallelism"]
    if plan.float32:
        arguments.append(f"float32={tuple_of(plan.float32)}")
    if not slices:
        yield from bracketed("return load_model(", arguments, ")", indent=1)
        return
    yield from bracketed("pipe = load_model(", arguments, ")", indent=1)
    yield "    pipe.vae.enable_slicing()"
    yield "    return pipe"


def _run_of_one(plan: Plan) -> Iterator[str]:
    yield from _run_head(plan)
    yield "    return run_batch(pipe, [request], [context])[0]"


def _run_batch(plan: Plan) -> Iterator[str]:
    parameters = [
        f"pipe: {plan.class_name}",
        "requests: Sequence[Mapping[str, Any]]",
        "contexts: Sequence[Any]",
    ]
    yield from bracketed("def run_batch(", parameters, ") -> list[dict[str, Any]]:")
    yield '    """Serve requests that agree in the keys of `batch`."""'
    yield "    shared = requests[0]"
    yield from _size(plan)
    several, one, entries = "images", "image", '"image": image'
    if plan.call.makes_video:
        several, one, entries = "clips", "frames", '"frames": frames, "fps": FPS'
    yield from spread(f"{several} = pipe(", _arguments(plan), f").{plan.call.result}", indent=1)
    yield f"    return [{{{entries}}} for {one} in {several}]"


def _run_head(plan: Plan) -> Iterator[str]:
    parameters = [f"pipe: {plan.class_name}", "request: Mapping[str, Any]", "context: Any"]
    yield from bracketed("def run(", parameters, ") -> dict[str, Any]:")
    yield '    """Serve one request."""'


def _run(plan: Plan) -> Iterator[str]:
    yield from _run_head(plan)
    yield from _size(plan)
    if _has_strength(plan):
        yield f'    strength = {_request(plan)}["strength"]'
    result = f").{plan.call.result}[0]"
    what = "frames" if plan.call.makes_video else "image"
    if plan.sound:
        what, result = "made", ")"
    yield from spread(f"{what} = pipe(", _arguments(plan), result, indent=1)
    if plan.sound:
        rate = f"int(pipe.{plan.sound}.config.output_sampling_rate)"
        yield f"    sound = (made.audio[0].float().cpu(), {rate})"
        yield '    return {"frames": made.frames[0], "fps": FPS, "audio": sound}'
    elif plan.call.makes_video:
        yield '    return {"frames": frames, "fps": FPS}'
    else:
        yield '    return {"image": image}'


def _size(plan: Plan) -> Iterator[str]:
    if _media_kinds(plan):
        yield f"    media, {'(width, height)' if plan.call.takes_size else '_'} = _media(request)"
    elif plan.call.takes_size:
        if plan.call.makes_video:
            yield "    # of the one resolution, SIZES says what it is in pixels"
        yield f"    width, height = {_tabled(plan)}"


def _tabled(plan: Plan) -> str:
    """A clip's resolution is a name, for which SIZES says what it is in pixels."""
    request = _request(plan)
    if plan.call.makes_video:
        request = f'{{**{request}, "resolution": ""}}'
    return f"tabled_size({request}, SIZES, multiple={plan.multiple})"


def _arguments(plan: Plan) -> Iterator[str]:
    if _media_kinds(plan):
        yield "**media"
    for name in ("prompt", "negative_prompt"):
        if plan.has(name):
            yield f"{name}={_of_each(plan, name)}"
    if plan.call.takes_size:
        yield from ("width=width", "height=height")
    if _counts(plan):
        yield f"{plan.call.frame_count}={_frames(plan)}"
    yield from (f"{name}=FPS" for name in ("frame_rate", "fps") if plan.has(name))
    yield from _denoising(plan)
    if plan.has("generator"):
        yield f"generator={_of_each(plan, 'seed', call='declare.generator')}"
    if plan.has("output_type"):
        yield f'output_type="{"np" if plan.call.makes_video else "pil"}"'


def _denoising(plan: Plan) -> Iterator[str]:
    if _has_strength(plan):
        yield "strength=strength"
    for name in PASSED_ON:
        if plan.call.number(name) is None:
            continue
        value = f'{_request(plan)}["{name}"]'
        if name == "num_inference_steps" and _has_strength(plan):
            value = f"max({value}, math.ceil(1 / strength))"
        yield f"{name}={value}"


def _counts(plan: Plan) -> bool:
    return bool(plan.call.frame_count)


def _has_strength(plan: Plan) -> bool:
    strength = plan.call.number("strength")
    return strength is not None and strength <= 1


def _frames(plan: Plan) -> str:
    if plan.frames.every == 1:
        return f'{_request(plan)}["num_frames"]'
    every = "" if plan.frames.every == 4 else f", every={plan.frames.every}"
    return f"frame_count({_request(plan)}, fps=FPS{every})"


def _request(plan: Plan) -> str:
    """Returns the name of what holds the values that a batch agrees in."""
    return "shared" if _has_batch(plan) else "request"


def _of_each(plan: Plan, name: str, *, call: str = "") -> str:
    """Returns a value of the request, or a list with that of each request of a batch."""
    value = f'{"each" if _has_batch(plan) else "request"}["{name}"]'
    value = f"{call}({value})" if call else value
    return f"[{value} for each in requests]" if _has_batch(plan) else value


def _media(plan: Plan) -> Iterator[str]:
    """Writes the function that reads pictures and clips, a branch for each kind but the last."""
    yield "def _media(request: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[int, int]]:"
    yield '    """Return the media of a request, as the model takes them, and their size."""'
    branches = [*_branches(plan)]
    for kinds, lines in branches[:-1]:
        yield f'    if request["task"] == "{kinds}":'
        yield from (f"        {line}" for line in lines)
    yield from (f"    {line}" for line in branches[-1][1])


def _branches(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    for kind in plan.kinds:
        if kind in TEXT_KINDS:
            size = _tabled(plan) if plan.call.takes_size else "(0, 0)"
            yield kind, [f"return {{}}, {size}"]
        elif kind in ("vc", "vsr"):
            yield kind, _clip(plan)
        else:
            yield kind, _picture(plan, kind)


def _picture(plan: Plan, kind: str) -> list[str]:
    lines = ['image = read_image(request["first_image_path"])']
    if plan.call.enlarges:
        return [*lines, 'return {"image": image}, image.size']
    lines.append(_shaped(plan, "image"))
    if kind != "fl2v":
        return [*lines, 'return {"image": fitted(image, size)}, size']
    return [
        *lines,
        'last = read_image(request["last_image_path"])',
        'return {"image": fitted(image, size), "last_image": fitted(last, size)}, size',
    ]


def _clip(plan: Plan) -> list[str]:
    limit = _frames(plan)
    lines = bracketed(
        "clip = read_frames(", ['request["ref_video_path"]', f"limit={limit}", "fps=FPS"], ")"
    )
    if (every := plan.frames.every) > 1:
        lines.append(f"clip = clip[: (len(clip) - 1) // {every} * {every} + 1]")
    if plan.call.enlarges:
        return [*lines, 'return {"video": clip}, clip[0].size']
    return [
        *lines,
        _shaped(plan, "clip[0]"),
        'return {"video": [fitted(image, size) for image in clip]}, size',
    ]


def _shaped(plan: Plan, picture: str) -> str:
    if plan.has_one_size:
        return "size = SIZE"
    return f"size = shaped_like({picture}, request, pixels=PIXELS, multiple={plan.multiple})"
