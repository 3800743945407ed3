"""Writes the text of a drafted pipeline file."""

from collections.abc import Iterator

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
from telefuser_grpc.pipeline.drafting.plan import Plan

TEXT_KINDS = ("t2v", "t2i")
REQUIRED = {
    "i2v": ("first_image_path",),
    "i2i": ("first_image_path",),
    "fl2v": ("first_image_path", "last_image_path"),
    "vc": ("ref_video_path",),
    "vsr": ("ref_video_path",),
}
PASSED_ON = ("num_inference_steps", "guidance_scale", "true_cfg_scale")


def source_of(plan: Plan) -> str:
    """Returns the text of a file, as ruff format would lay it out."""
    opening = [*_opening(plan), "", *_contract(plan)]
    functions = [_loading(plan), _run(plan)]
    if _media_kinds(plan):
        functions.append(_media(plan))
    return "\n\n\n".join("\n".join(each) for each in (opening, *functions)) + "\n"


def _media_kinds(plan: Plan) -> list[str]:
    return [kind for kind in plan.kinds if kind not in TEXT_KINDS]


def _has_text(plan: Plan) -> bool:
    return any(kind in TEXT_KINDS for kind in plan.kinds)


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
            "declare it among the parameters and pass it on in `run`."
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


def _imports(plan: Plan) -> Iterator[str]:
    if _has_strength(plan):
        yield "import math"
    yield "from collections.abc import Mapping"
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
    """Writes what several kinds have in common once, above."""
    is_alone = len(plan.kinds) == 1
    if not is_alone:
        yield from spread("PARAMETERS = {", common_parameters(plan), "}")
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
    return "\n".join(spread(f'"{kind}": {{', [*entries, _parameters(plan, kind)], "}"))


def _parameters(plan: Plan, kind: str) -> str:
    own = parameters_of(plan, kind)
    if len(plan.kinds) == 1:
        return "\n".join(spread('"parameters": {', [*common_parameters(plan), *own], "}"))
    if not own:
        return '"parameters": PARAMETERS'
    return "\n".join(spread('"parameters": {', ["**PARAMETERS", *own], "}"))


def _loading(plan: Plan) -> Iterator[str]:
    parameters = ["parallelism: int", "options: ModelOptions"]
    yield from bracketed("def get_pipeline(", parameters, f") -> {plan.class_name}:")
    yield '    """Load the model."""'
    arguments = [plan.class_name, "MODEL", "options", "parallelism=parallelism"]
    if plan.float32:
        arguments.append(f"float32={tuple_of(plan.float32)}")
    yield from bracketed("return load_model(", arguments, ")", indent=1)


def _run(plan: Plan) -> Iterator[str]:
    parameters = [f"pipe: {plan.class_name}", "request: Mapping[str, Any]", "context: Any"]
    yield from bracketed("def run(", parameters, ") -> dict[str, Any]:")
    yield '    """Serve one request."""'
    yield from _size(plan)
    if _has_strength(plan):
        yield '    strength = request["strength"]'
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
        yield f"    width, height = {_tabled(plan)}"


def _tabled(plan: Plan) -> str:
    """A clip's resolution is a name, for which SIZES says what it is in pixels."""
    request = '{**request, "resolution": ""}' if plan.call.makes_video else "request"
    return f"tabled_size({request}, SIZES, multiple={plan.multiple})"


def _arguments(plan: Plan) -> Iterator[str]:
    if _media_kinds(plan):
        yield "**media"
    for name in ("prompt", "negative_prompt"):
        if plan.has(name):
            yield f'{name}=request["{name}"]'
    if plan.call.takes_size:
        yield from ("width=width", "height=height")
    if _counts(plan):
        yield f"{plan.call.frame_count}={_frames(plan)}"
    yield from (f"{name}=FPS" for name in ("frame_rate", "fps") if plan.has(name))
    yield from _denoising(plan)
    if plan.has("generator"):
        yield 'generator=declare.generator(request["seed"])'
    if plan.has("output_type"):
        yield f'output_type="{"np" if plan.call.makes_video else "pil"}"'


def _denoising(plan: Plan) -> Iterator[str]:
    if _has_strength(plan):
        yield "strength=strength"
    for name in PASSED_ON:
        if plan.call.number(name) is None:
            continue
        if name == "num_inference_steps" and _has_strength(plan):
            yield f'{name}=max(request["{name}"], math.ceil(1 / strength))'
        else:
            yield f'{name}=request["{name}"]'


def _counts(plan: Plan) -> bool:
    return bool(plan.call.frame_count)


def _has_strength(plan: Plan) -> bool:
    strength = plan.call.number("strength")
    return strength is not None and strength <= 1


def _frames(plan: Plan) -> str:
    if plan.frames.every == 1:
        return 'request["num_frames"]'
    every = "" if plan.frames.every == 4 else f", every={plan.frames.every}"
    return f"frame_count(request, fps=FPS{every})"


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
