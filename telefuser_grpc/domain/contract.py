"""A pipeline's contract: which kinds of task it makes, and what each needs.

`PipelineContract.parse` reads what a pipeline file declares; `TaskContract.complete` turns a
request's fields into those a task runs with, or says what is wrong with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from telefuser_grpc.domain.batching import Batching
from telefuser_grpc.domain.contract_shape import ContractError, check_pipeline, check_task
from telefuser_grpc.domain.kinds import (
    DEFAULT_INPUTS,
    INPUT_FIELDS,
    KIND_PATTERN,
    MediaType,
    default_media_type,
)
from telefuser_grpc.domain.parameter import Parameter
from telefuser_grpc.domain.sizes import InputLimits, check_limit, size_violations
from telefuser_grpc.errors import (
    InvalidFields,
    MissingInputs,
    MissingParameters,
    TaskNotInferred,
    UnsupportedTask,
    Violation,
)

UNKNOWN_MEDIA_TYPE = "unknown"
ENTRY_POINTS = {name: name for name in ("get_pipeline", "run_with_file")}


class Enforcement(StrEnum):
    """Whether values are held to the types, choices and ranges that a contract declares."""

    STRICT = "strict"
    RELAXED = "relaxed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContract:
    """What one kind of task needs.

    Attributes:
        batching: Which of them can be made together.
        input_limits: How large the media of some inputs may be.
        max_pixels: Of a result whose width and height are given; None bounds nothing.
    """

    kind: str
    media_type: MediaType
    required_inputs: tuple[str, ...] = ()
    optional_inputs: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    batching: Batching | None = None
    input_limits: Mapping[str, InputLimits] = field(default_factory=dict)
    max_pixels: int | None = None

    @classmethod
    def parse(cls, kind: str, declared: Mapping[str, Any]) -> "TaskContract":
        """Reads one entry of `task_contracts`; an absent key takes the kind's defaults.

        Raises:
            ContractError: A key has a value that makes no sense.
        """
        check_task(kind, declared)
        required, optional = DEFAULT_INPUTS.get(kind, ((), ()))
        media_type = declared.get("media_type") or default_media_type(kind)
        if media_type not in set(MediaType):
            raise ContractError(f"task_contracts.{kind}.media_type: unknown {media_type!r}")
        return cls(
            kind=kind,
            media_type=MediaType(media_type),
            required_inputs=_names(declared.get("required_inputs", required)),
            optional_inputs=_names(declared.get("optional_inputs", optional)),
            parameters={
                name: Parameter.parse(name, each)
                for name, each in (declared.get("parameters") or {}).items()
            },
            batching=_batching(kind, declared.get("batch")),
            input_limits=_input_limits(kind, declared.get("input_limits") or {}),
            max_pixels=_max_pixels(kind, declared.get("max_pixels")),
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """All fields that may hold media."""
        return self.required_inputs + self.optional_inputs

    def complete(
        self,
        fields: Mapping[str, Any],
        *,
        enforcement: Enforcement = Enforcement.STRICT,
        also_required: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Returns the fields with the contract's defaults, checked.

        Inputs are looked at before parameters, presence before values. What the contract fills in
        is not held against the caller. `also_required` names parameters that must be given where
        the contract does not declare them.

        Raises:
            MissingInputs, MissingParameters, InvalidFields
        """
        self._require_inputs(fields)
        completed = self._with_defaults(fields)
        self._require_parameters(completed, also_required)
        if enforcement is Enforcement.STRICT:
            self._check_values(fields)
            self._check_size(completed)
        return completed

    def _require_inputs(self, fields: Mapping[str, Any]) -> None:
        if missing := [name for name in self.required_inputs if is_empty(fields.get(name))]:
            raise MissingInputs(self.kind, self.required_inputs, missing)

    def _with_defaults(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        defaults = {
            name: parameter.default
            for name, parameter in self.parameters.items()
            if parameter.exposed and parameter.default is not None and name not in fields
        }
        return {**fields, **defaults}

    def _require_parameters(self, fields: Mapping[str, Any], also: Sequence[str]) -> None:
        undeclared = [name for name in also if name not in self.parameters]
        required = undeclared + [
            name for name, each in self.parameters.items() if each.required and each.exposed
        ]
        if missing := [name for name in required if is_empty(fields.get(name))]:
            raise MissingParameters(self.kind, required, missing)

    def _check_size(self, fields: Mapping[str, Any]) -> None:
        if self.max_pixels and (violations := [*size_violations(fields, self.max_pixels)]):
            raise InvalidFields(violations)

    def _check_values(self, fields: Mapping[str, Any]) -> None:
        violations: list[Violation] = []
        for name, value in fields.items():
            if name in self.parameters and not is_empty(value):
                violations += self.parameters[name].violations(value)
        if violations:
            raise InvalidFields(violations)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineContract:
    """What a pipeline can make. `tasks` keeps the declared order, which infers kinds."""

    pipeline_name: str
    tasks: Mapping[str, TaskContract]
    contract_version: str = "v1"
    declared: bool = True
    execution_mode: str = "serial_single_pipeline"
    effective_max_concurrent_tasks: int = 1
    entrypoints: Mapping[str, str] = field(default_factory=ENTRY_POINTS.copy)
    declared_media_types: tuple[str, ...] = ()

    @classmethod
    def parse(cls, declared: Mapping[str, Any], *, stem: str) -> "PipelineContract":
        """Reads a declared contract; `stem` names a pipeline that has no name.

        Raises:
            ContractError: A key is missing or has a value that makes no sense.
        """
        check_pipeline(declared)
        kinds = _kinds(declared.get("supported_tasks"))
        entries = declared.get("task_contracts") or {}
        entrypoints = declared.get("entrypoints") or {}
        return cls(
            pipeline_name=declared.get("pipeline_name") or stem,
            contract_version=str(declared.get("contract_version") or "v1"),
            tasks={kind: TaskContract.parse(kind, entries.get(kind) or {}) for kind in kinds},
            execution_mode=declared.get("execution_mode") or "serial_single_pipeline",
            effective_max_concurrent_tasks=_at_least_one(declared),
            entrypoints=ENTRY_POINTS | dict(entrypoints),
            declared_media_types=_names(declared.get("supported_media_types")),
        )

    @classmethod
    def legacy(cls, kind: str, *, stem: str) -> "PipelineContract":
        """Returns the contract of a file that declares none: the one kind it is served as."""
        return cls(
            pipeline_name=stem,
            contract_version="legacy",
            declared=False,
            tasks={kind: TaskContract.parse(kind, {})},
        )

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types that the pipeline makes, as declared, else those of its known kinds."""
        known = {each.media_type for kind, each in self.tasks.items() if kind in DEFAULT_INPUTS}
        made = tuple(each for each in MediaType if each in known)
        return self.declared_media_types or made or (UNKNOWN_MEDIA_TYPE,)

    def task(self, kind: str) -> TaskContract:
        """Returns the contract of a kind.

        Raises:
            UnsupportedTask
        """
        if kind not in self.tasks:
            raise UnsupportedTask(kind, list(self.tasks))
        return self.tasks[kind]

    def infer_kind(self, fields: Mapping[str, Any], *, media_type: MediaType | None = None) -> str:
        """Returns the kind that fits the media given: the one that requires most of it.

        Among those that require as much, the one declared first. A media type leaves only the
        kinds that make it.

        Raises:
            TaskNotInferred: No kind can be made from the inputs given.
        """
        given = given_inputs(fields)
        fitting = [
            task
            for task in self.tasks.values()
            if given.issuperset(task.required_inputs)
            and (not given or given.intersection(task.inputs))
            and media_type in (None, task.media_type)
        ]
        if not fitting:
            raise TaskNotInferred(list(self.tasks))
        return max(fitting, key=lambda task: len(task.required_inputs)).kind


def given_inputs(fields: Mapping[str, Any]) -> set[str]:
    """Returns the names of the media fields that are not empty."""
    return {name for name in INPUT_FIELDS if not is_empty(fields.get(name))}


def is_empty(value: Any) -> bool:
    """Tells whether a value counts as not given: null, "", [] or {}."""
    return value is None or value == "" or value == [] or value == {}


def _batching(kind: str, declared: Mapping[str, Any] | None) -> Batching | None:
    if declared is None:
        return None
    return Batching.parse(f"task_contracts.{kind}.batch", declared)


def _input_limits(kind: str, declared: Mapping[str, Any]) -> dict[str, InputLimits]:
    path = f"task_contracts.{kind}.input_limits"
    if unknown := [name for name in declared if name not in INPUT_FIELDS]:
        raise ContractError(f"{path}.{unknown[0]}: no input; there are {', '.join(INPUT_FIELDS)}")
    return {name: InputLimits.parse(f"{path}.{name}", each) for name, each in declared.items()}


def _max_pixels(kind: str, declared: int | None) -> int | None:
    if declared is not None:
        check_limit(f"task_contracts.{kind}.max_pixels", declared)
    return declared


def _names(declared: Any) -> tuple[str, ...]:
    """Reads one name or several, trimmed and without repetition."""
    names = [declared] if isinstance(declared, str) else declared or ()
    return tuple(dict.fromkeys(str(name).strip() for name in names))


def _at_least_one(declared: Mapping[str, Any]) -> int:
    key = "effective_max_concurrent_tasks"
    count = declared.get(key, 1)
    if not isinstance(count, int) or count < 1:
        raise ContractError(f"{key}: must be an integer of at least 1, not {count!r}")
    return count


def _kinds(declared: Any) -> Sequence[str]:
    kinds = _names(declared)
    if not kinds:
        raise ContractError("supported_tasks: name at least one task, for example ['t2v']")
    for kind in kinds:
        if not KIND_PATTERN.fullmatch(kind):
            raise ContractError(f"supported_tasks: {kind!r} must match {KIND_PATTERN.pattern}")
    return kinds
