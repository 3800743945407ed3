"""How a pipeline file is called: the entry point it has, and the arguments that fit it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.job import Job

NAME = "run_with_file"
BATCH_NAME = "run_batch"
NO_ENTRY_POINT = (
    "Pipeline file must define run_with_file(...) for service execution, or run(pipeline, request, "
    "context)"
)
IMAGE_NAMES = ("image", "input_image")
IMAGE_PATHS = ("first_image_path", "image_path")
TASK_ID_NAMES = ("req_id", "request_id")
NOT_GIVEN = dict.fromkeys(  # what a file that was written for TeleFuser is told all the same
    ("prompt", "negative_prompt", "first_image_path", "last_image_path", "ref_video_path"), ""
)
GENERIC_DEFAULTS: Mapping[str, Any] = {  # and this, of what its contract does not declare
    "aspect_ratio": "16:9",
    "resolution": "720p",
    "seed": 42,
    "target_video_length": 5,
    "output_format": "png",
}

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A function of a pipeline file that runs one task.

    Attributes:
        takes_context: It is called with (pipeline, request, context); otherwise by its signature.
        contract: What the file declares of its tasks; what it declares has no generic default.
        ppl_config: The file's `PPL_CONFIG`, or None.
        together: Its `run_batch(pipeline, requests, contexts)`, which makes several tasks at once
            and returns their results in order, or None.
    """

    function: Callable[..., Any]
    takes_context: bool
    contract: PipelineContract
    ppl_config: Any = None
    together: Callable[..., Any] | None = None

    def call(self, pipeline: Any, fields: dict[str, Any], context: object) -> Any:
        """Calls the function for the fields of a task."""
        if self.takes_context:
            return self.function(pipeline, fields, context)
        told = {**self._generic_defaults(fields.get("task")), **NOT_GIVEN, **fields}
        arguments = select_arguments(self.function, told, ppl_config=self.ppl_config)
        return self.function(pipeline, **arguments)

    def _generic_defaults(self, kind: str | None) -> dict[str, Any]:
        task = self.contract.tasks.get(kind or "")
        declared = task.parameters if task else {}
        return {name: each for name, each in GENERIC_DEFAULTS.items() if name not in declared}


def choose_entry(module: ModuleType, contract: PipelineContract) -> Entry | None:
    """Returns the entry point of a file: our `run`, else `run_with_file`, else any other `run`."""
    ppl_config = getattr(module, "PPL_CONFIG", None)
    run = getattr(module, contract.entrypoints.get("run", "run"), None)
    takes_context = callable(run) and _takes_context(run)
    with_file = getattr(module, contract.entrypoints.get(NAME, NAME), None)
    function = with_file if callable(with_file) and not takes_context else run
    if not callable(function) or (function is run and _lacks_context(run)):
        return None
    together = getattr(module, contract.entrypoints.get(BATCH_NAME, BATCH_NAME), None)
    return Entry(
        function=function,
        takes_context=takes_context,
        contract=contract,
        ppl_config=ppl_config,
        together=together if callable(together) else None,
    )


def task_fields(job: Job) -> dict[str, Any]:
    """Returns what a pipeline is told of a job: its fields, media and result as absolute paths."""
    output_path = str(Path(job.output_folder, job.output_name)) if job.output_name else ""
    return {
        **job.fields,
        **job.inputs,
        "task": job.kind,
        "task_id": job.task_id,
        "output_path": output_path,
    }


def select_arguments(
    function: Callable[..., Any], fields: Mapping[str, Any], *, ppl_config: Any = None
) -> dict[str, Any]:
    """Returns the keyword arguments, after the pipeline, that a function's signature asks for.

    A function with `**kwargs` takes all fields, any other those it names. `req_id`, `request_id`,
    `image`, `input_image` and `ppl_config` are made from the fields and the file.
    """
    first, *parameters = inspect.signature(function).parameters.values()
    named = [each.name for each in parameters if each.kind in _NAMED]
    if any(each.kind is each.VAR_KEYWORD for each in (first, *parameters)):
        values = {name: value for name, value in fields.items() if name != first.name}
    else:
        values = {name: fields[name] for name in named if name in fields}
    return values | _aliases(named, fields, ppl_config)


def _takes_context(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    names = [each.name.strip("_") for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
    return len(names) == 3 and (names[1] == "request" or names[2] in ("context", "ctx"))


def _lacks_context(function: Callable[..., Any]) -> bool:
    names = [name.strip("_") for name in inspect.signature(function).parameters]
    return names[1:] == ["request"]


def _aliases(named: list[str], fields: Mapping[str, Any], ppl_config: Any) -> dict[str, Any]:
    aliases: dict[str, Any] = {}
    image_path = next((fields[name] for name in IMAGE_PATHS if fields.get(name)), None)
    for name in named:
        if name in IMAGE_NAMES and image_path is not None:
            aliases[name] = _open_image(image_path)
        elif name in TASK_ID_NAMES and name not in fields:
            aliases[name] = fields["task_id"]
        elif name == "ppl_config" and ppl_config is not None:
            aliases[name] = ppl_config
    return aliases


def _open_image(path: str) -> Any:
    from PIL import Image, ImageOps  # heavy, and most calls need none

    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")
