"""Writes the functions of a drafted pipeline file."""

from collections.abc import Iterable, Iterator

from telefuser_grpc.pipeline.drafting.layout import bracketed, spread, tuple_of
from telefuser_grpc.pipeline.drafting.plan import TEXT_KINDS, Plan

PASSED_ON = ("num_inference_steps", "guidance_scale", "true_cfg_scale")


def functions_of(plan: Plan) -> Iterator[Iterable[str]]:
    """Yields the lines of each function."""
    yield _loading(plan)
    if plan.has_batch:
        yield from (_run_of_one(plan), _run_batch(plan))
    else:
        yield _run(plan)
    if plan.media_kinds:
        yield _media(plan)


def _loading(plan: Plan) -> Iterator[str]:
    parameters = ["parallelism: int", "options: ModelOptions"]
    yield from bracketed("def get_pipeline(", parameters, f") -> {plan.class_name}:")
    slices = plan.has_batch and plan.decodes_slices
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
    if plan.has_strength:
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
    if plan.media_kinds:
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
    if plan.media_kinds:
        yield "**media"
    for name in ("prompt", "negative_prompt"):
        if plan.has(name):
            yield f"{name}={_of_each(plan, name)}"
    if plan.call.takes_size:
        yield from ("width=width", "height=height")
    if plan.counts_frames:
        yield f"{plan.call.frame_count}={_frames(plan)}"
    yield from (f"{name}=FPS" for name in ("frame_rate", "fps") if plan.has(name))
    yield from _denoising(plan)
    if plan.has("generator"):
        yield f"generator={_of_each(plan, 'seed', call='declare.generator')}"
    if plan.has("output_type"):
        yield f'output_type="{"np" if plan.call.makes_video else "pil"}"'


def _denoising(plan: Plan) -> Iterator[str]:
    if plan.has_strength:
        yield "strength=strength"
    for name in PASSED_ON:
        if plan.call.number(name) is None:
            continue
        value = f'{_request(plan)}["{name}"]'
        if name == "num_inference_steps" and plan.has_strength:
            value = f"max({value}, math.ceil(1 / strength))"
        yield f"{name}={value}"


def _frames(plan: Plan) -> str:
    if plan.frames.every == 1:
        return f'{_request(plan)}["num_frames"]'
    every = "" if plan.frames.every == 4 else f", every={plan.frames.every}"
    return f"frame_count({_request(plan)}, fps=FPS{every})"


def _request(plan: Plan) -> str:
    """Returns the name of what holds the values that a batch agrees in."""
    return "shared" if plan.has_batch else "request"


def _of_each(plan: Plan, name: str, *, call: str = "") -> str:
    """Returns a value of the request, or a list with that of each request of a batch."""
    value = f'{"each" if plan.has_batch else "request"}["{name}"]'
    value = f"{call}({value})" if call else value
    return f"[{value} for each in requests]" if plan.has_batch else value


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
