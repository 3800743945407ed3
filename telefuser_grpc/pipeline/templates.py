"""Contract templates: what the author of a pipeline file calls to declare what it makes."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from telefuser_grpc.domain.contract import ENTRY_POINTS
from telefuser_grpc.domain.kinds import DEFAULT_INPUTS, default_media_type

ASPECT_RATIOS = ("16:9", "9:16", "4:3", "3:4", "1:1", "2:3", "3:2")

BASE_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "prompt": {"type": "string", "required": True, "default": ""},
    "negative_prompt": {"type": "string", "default": ""},
    "seed": {"type": "integer", "default": 42},
    "resolution": {"type": "string", "default": "720p", "enum": ["480p", "720p", "1080p"]},
    "aspect_ratio": {"type": "string", "default": "16:9", "enum": list(ASPECT_RATIOS)},
    "target_video_length": {"type": "integer", "default": 5},
    "output_format": {"type": "string", "default": "png", "enum": ["png", "jpg", "jpeg", "webp"]},
    "output_path": {"type": "string", "default": ""},
}
_TEXT = ("prompt", "negative_prompt", "seed", "resolution")
_CLIP = (*_TEXT, "aspect_ratio", "target_video_length", "output_path")
_CONTINUED = (*_TEXT, "target_video_length", "output_path")
_STILL = (*_TEXT, "aspect_ratio", "output_format", "output_path")

PARAMETERS_OF: Mapping[str, tuple[str, ...]] = {
    "t2v": _CLIP,
    "i2v": _CLIP,
    "fl2v": _CLIP,
    "vc": _CONTINUED,
    "s2v": _CONTINUED,
    "vsr": (*_TEXT, "output_path"),
    "t2i": _STILL,
    "i2i": _STILL,
    "edit": _STILL,
}


def build_task_contract_template(
    task: str,
    *,
    parameter_overrides: Mapping[str, Mapping[str, Any]] | None = None,
    excluded_parameters: Iterable[str] | None = None,
    required_inputs: Iterable[str] | None = None,
    optional_inputs: Iterable[str] | None = None,
    media_type: str | None = None,
) -> dict[str, Any]:
    """Returns a task contract: the usual inputs and parameters of a kind, overrides merged in."""
    required, optional = DEFAULT_INPUTS.get(task, ((), ()))
    return {
        "media_type": media_type or str(default_media_type(task)),
        "required_inputs": list(required if required_inputs is None else required_inputs),
        "optional_inputs": list(optional if optional_inputs is None else optional_inputs),
        "parameters": _parameters(task, parameter_overrides or {}, set(excluded_parameters or ())),
    }


def build_pipeline_manifest(
    *,
    pipeline_name: str,
    supported_tasks: Iterable[str],
    task_contracts: Mapping[str, Mapping[str, Any]] | None = None,
    execution_mode: str = "serial_single_pipeline",
    effective_max_concurrent_tasks: int = 1,
    entrypoints: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Returns a pipeline contract; a task without a contract of its own takes the template."""
    named = [supported_tasks] if isinstance(supported_tasks, str) else supported_tasks
    tasks = list(dict.fromkeys(name.strip() for name in named))
    given = task_contracts or {}
    contracts = {task: given.get(task) or build_task_contract_template(task) for task in tasks}
    media_types = dict.fromkeys(
        str(each.get("media_type") or default_media_type(task)) for task, each in contracts.items()
    )
    return {
        "contract_version": "v1",
        "pipeline_name": pipeline_name,
        "supported_tasks": tasks,
        "supported_media_types": list(media_types),
        "execution_mode": execution_mode,
        "effective_max_concurrent_tasks": effective_max_concurrent_tasks,
        "entrypoints": ENTRY_POINTS | dict(entrypoints or {}),
        "task_contracts": contracts,
    }


def _parameters(
    task: str, overrides: Mapping[str, Mapping[str, Any]], excluded: set[str]
) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys((*PARAMETERS_OF.get(task, _CLIP), *overrides))
    return {
        name: {**_base(name), **overrides.get(name, {})} for name in names if name not in excluded
    }


def _base(name: str) -> dict[str, Any]:
    common = {"required": False, "description": "", "enum": [], "exposed": True}
    return common | copy.deepcopy(dict(BASE_PARAMETERS[name])) if name in BASE_PARAMETERS else {}
