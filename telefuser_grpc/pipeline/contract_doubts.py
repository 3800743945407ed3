"""Tells an author what their contract says that cannot be meant, though it can be read."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from telefuser_grpc.domain import contract_shape as shape
from telefuser_grpc.domain.contract import PipelineContract, TaskContract, is_empty
from telefuser_grpc.domain.parameter import PYTHON_TYPES, Parameter

OF_PIPELINE = {*shape.PIPELINE, "contract_version", "effective_max_concurrent_tasks"}
OF_TASK = {*shape.TASK}
OF_PARAMETER = {*shape.PARAMETER, "required", "default", "exposed"}
ALIKE = 0.8
"""How like a known key another must be to pass for a slip; contracts may have keys of their own."""


def doubts(declared: Any) -> Iterator[str]:
    """Yields what is doubtful in a contract that has been parsed: the key, and what to do."""
    if not isinstance(declared, Mapping):
        return
    yield from _slips("", declared, OF_PIPELINE)
    served = PipelineContract.parse(declared, stem="").tasks
    for kind, task in (declared.get("task_contracts") or {}).items():
        path = f"task_contracts.{kind}"
        if kind in served:
            yield from _of_task(path, task or {}, served[kind])
        else:  # nobody has read it, and anything may be in it
            yield f"{path} is not served; add {kind!r} to supported_tasks"


def _of_task(path: str, task: Mapping[str, Any], served: TaskContract) -> Iterator[str]:
    for name in served.input_limits:
        if name not in served.inputs:
            yield f"{path}.input_limits.{name} bounds nothing; add {name!r} to the inputs"
    yield from _slips(f"{path}.", task, OF_TASK)
    for name, each in (task.get("parameters") or {}).items():
        if isinstance(each, Mapping):
            yield from _of_parameter(f"{path}.parameters.{name}", name, each)


def _of_parameter(path: str, name: str, declared: Mapping[str, Any]) -> Iterator[str]:
    yield from _slips(f"{path}.", declared, OF_PARAMETER)
    type_ = declared.get("type")
    if type_ and type_ not in PYTHON_TYPES:
        known = ", ".join(PYTHON_TYPES)
        yield f"{path}.type is {type_!r}, so values are not checked; take one of {known}"
    default = declared.get("default")
    if not is_empty(default):
        for violation in Parameter.parse(name, declared).violations(default):
            yield f"{path}.default is {default!r}, which a caller may not give: {violation.message}"
    lowest, highest = declared.get("minimum"), declared.get("maximum")
    if lowest is not None and highest is not None and lowest > highest:
        yield f"{path}.minimum is above its maximum, so that no value fits"


def _slips(path: str, declared: Mapping[Any, Any], known: Collection[str]) -> Iterator[str]:
    for key in declared:
        if key in known:
            continue
        for meant in get_close_matches(str(key), known, n=1, cutoff=ALIKE):
            yield f"{path}{key} is not known and has no effect; write {meant}"
