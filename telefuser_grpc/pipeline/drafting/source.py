"""Writes the text of a drafted pipeline file: what it opens with, its contract, its functions."""

import math
from collections.abc import Iterator, Sequence

from telefuser_grpc.pipeline.drafting.declared import (
    common_parameters,
    negative_default,
    parameters_of,
    sizes_table,
)
from telefuser_grpc.pipeline.drafting.functions import functions_of
from telefuser_grpc.pipeline.drafting.layout import assigned, paragraph, spread, text
from telefuser_grpc.pipeline.drafting.plan import Plan

REQUIRED = {
    "i2v": ("first_image_path",),
    "i2i": ("first_image_path",),
    "fl2v": ("first_image_path", "last_image_path"),
    "vc": ("ref_video_path",),
    "vsr": ("ref_video_path",),
}
LONGEST_RATIO = 8  # of the sides of a picture


def source_of(plan: Plan) -> str:
    """Returns the text of a file, as ruff format would lay it out."""
    opening = [*_opening(plan), "", *_contract(plan)]
    return "\n\n\n".join("\n".join(each) for each in (opening, *functions_of(plan))) + "\n"


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
    if plan.has_batch:
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
    return "run_batch" if plan.has_batch else "run"


def _imports(plan: Plan) -> Iterator[str]:
    if plan.has_strength:
        yield "import math"
    yield f"from collections.abc import Mapping{', Sequence' if plan.has_batch else ''}"
    yield "from typing import Any"
    yield ""
    yield f"from diffusers import {plan.class_name}"
    yield ""
    yield "from telefuser_grpc.pipeline import parameters as declare"
    kinds = plan.media_kinds
    readers = ["read_frames"] if {"vc", "vsr"} & set(kinds) else []
    readers += ["read_image"] if {"i2v", "i2i", "fl2v"} & set(kinds) else []
    if readers:
        yield f"from telefuser_grpc.pipeline.media import {', '.join(readers)}"
    yield "from telefuser_grpc.pipeline.models import load_model"
    yield "from telefuser_grpc.pipeline.options import ModelOptions"
    if sizes := sorted(_size_functions(plan)):
        yield f"from telefuser_grpc.pipeline.sizes import {', '.join(sizes)}"


def _size_functions(plan: Plan) -> Iterator[str]:
    kinds = set(plan.media_kinds)
    if plan.has_text and plan.call.takes_size:
        yield "tabled_size"
    if kinds and not plan.call.enlarges:
        yield "fitted"
        yield from () if plan.has_one_size else ("shaped_like",)
    if (
        plan.frames.every > 1
        and plan.call.makes_video
        and (plan.counts_frames or kinds & {"vc", "vsr"})
    ):
        yield "frame_count"


def _constants(plan: Plan) -> Iterator[str]:
    if plan.has_text and plan.call.takes_size:
        yield from sizes_table(plan)
    if plan.media_kinds and not plan.call.enlarges:
        width, height = plan.size
        yield f"SIZE = ({width}, {height})" if plan.has_one_size else f"PIXELS = {width} * {height}"
    yield from negative_default(plan)


def _contract(plan: Plan) -> Iterator[str]:
    """Writes above what is named more than once: what several kinds have in common, or a batch."""
    if len(plan.kinds) > 1:
        yield from spread("PARAMETERS = {", common_parameters(plan), "}")
    elif plan.has_batch:
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
    if plan.has_batch:
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
    if plan.has_batch or (len(plan.kinds) > 1 and not own):
        return '"parameters": PARAMETERS'
    if len(plan.kinds) == 1:
        return "\n".join(spread('"parameters": {', _all_parameters(plan), "}"))
    return "\n".join(spread('"parameters": {', ["**PARAMETERS", *own], "}"))


def _all_parameters(plan: Plan) -> list[str]:
    """Returns the entries of a file's only kind."""
    return [*common_parameters(plan), *parameters_of(plan, plan.kinds[0])]
