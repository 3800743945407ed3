"""Watches and stops any diffusers pipeline from outside, without its file's help.

Where a pipeline's call takes `callback_on_step_end`, the callback is put in. Elsewhere the steps
of its scheduler are counted. Both are done by giving the object a subclass of its own class for
the time of a run: a function bound to the object would be copied with it and then step the
original (LTX2 copies its scheduler).
"""

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from telefuser_grpc.pipeline.batch_context import BatchContext
from telefuser_grpc.pipeline.context import JobContext
from telefuser_grpc.pipeline.fresh_schedulers import fresh_schedulers
from telefuser_grpc.pipeline.latents import PREVIEW_TENSORS, steps_of

Watcher = JobContext | BatchContext

CALLBACK = "callback_on_step_end"
CALLBACK_TENSORS = "callback_on_step_end_tensor_inputs"


def diffusers_pipelines(value: Any) -> list[Any]:
    """Returns the diffusers pipelines in a value: itself, or one level down in what it holds."""
    if _is_diffusers_pipeline(value):
        return [value]
    found = {id(each): each for each in _members(value) if _is_diffusers_pipeline(each)}
    return list(found.values())


@contextmanager
def hooked(pipeline: Any, context: Watcher) -> Iterator[None]:
    """Reports every step of the diffusers pipelines in a value, and raises when cancelled.

    Everything is as it was afterwards, their schedulers too: the run has fresh ones.
    """
    pipes = diffusers_pipelines(pipeline)
    with ExitStack() as stack:
        for pipe in pipes:  # a run that fails leaves step caches filled and the device occupied
            stack.callback(pipe.maybe_free_model_hooks)
        stack.enter_context(fresh_schedulers([pipeline, *pipes] if pipes else []))
        for pipe in pipes:
            if CALLBACK in inspect.signature(type(pipe).__call__).parameters:
                stack.enter_context(_as(pipe, _with_callback(type(pipe), context)))
            elif hasattr(scheduler := getattr(pipe, "scheduler", None), "set_timesteps"):
                stack.enter_context(_as(scheduler, _counted(scheduler, pipe, context)))
        yield


def _is_diffusers_pipeline(value: Any) -> bool:
    return any(
        base.__name__ == "DiffusionPipeline" and base.__module__.startswith("diffusers.")
        for base in type(value).__mro__
    )


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, list | tuple):
        return value
    return getattr(value, "__dict__", {}).values()


@contextmanager
def _as(thing: Any, subclass: type) -> Iterator[None]:
    original = type(thing)
    object.__setattr__(thing, "__class__", subclass)
    try:
        yield
    finally:
        object.__setattr__(thing, "__class__", original)


def _subclass(base: type, methods: dict[str, Any]) -> type:
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__}
    return type(base.__name__, (base,), names | methods)


def _with_callback(base: Any, context: Watcher) -> type:
    signature = inspect.signature(base.__call__)

    @functools.wraps(base.__call__)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        context.raise_if_cancelled()
        bound = signature.bind(self, *args, **kwargs)
        _put_callback(bound, context)
        return base.__call__(*bound.args, **bound.kwargs)

    return _subclass(base, {"__call__": call})


def _put_callback(bound: inspect.BoundArguments, context: Watcher) -> None:
    pipe = bound.arguments["self"]
    own = bound.arguments.get(CALLBACK)
    wanted = _wanted_tensors(bound, own)

    def on_step_end(pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> Any:
        result: Any = tensors
        if own is not None:
            with context.watched():
                result = own(pipe, index, timestep, {name: tensors[name] for name in wanted})
        context.step_done(pipe, index + 1, steps_of(pipe), tensors)
        return result

    bound.arguments[CALLBACK] = on_step_end
    if CALLBACK_TENSORS in bound.signature.parameters:
        seen = [name for name in PREVIEW_TENSORS if name in _allowed_tensors(pipe)]
        bound.arguments[CALLBACK_TENSORS] = list(dict.fromkeys([*wanted, *seen]))


def _wanted_tensors(bound: inspect.BoundArguments, own: Any) -> list[str]:
    if hasattr(own, "tensor_inputs"):  # a PipelineCallback of diffusers says it by itself
        return list(own.tensor_inputs)
    parameter = bound.signature.parameters.get(CALLBACK_TENSORS)
    default = parameter.default if parameter else ()
    return list(bound.arguments.get(CALLBACK_TENSORS, default) or ())


def _allowed_tensors(pipe: Any) -> Iterable[str]:
    return getattr(pipe, "_callback_tensor_inputs", ())


def _counted(scheduler: Any, pipe: Any, context: Watcher) -> type:
    base = type(scheduler)
    count = StepCount(scheduler)

    @functools.wraps(base.set_timesteps)
    def set_timesteps(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self is scheduler:
            count.restart()
        return base.set_timesteps(self, *args, **kwargs)

    @functools.wraps(base.step)
    def step(self: Any, model_output: Any, timestep: Any, *args: Any, **kwargs: Any) -> Any:
        if self is not scheduler:
            return base.step(self, model_output, timestep, *args, **kwargs)
        context.raise_if_cancelled()
        result = base.step(self, model_output, timestep, *args, **kwargs)
        if count.advance(timestep):
            context.step_done(pipe, count.done, count.steps, _latents_of(result))
        return result

    return _subclass(base, {"set_timesteps": set_timesteps, "step": step})


def _latents_of(result: Any) -> Mapping[str, Any]:
    sample = result[0] if isinstance(result, tuple) else getattr(result, "prev_sample", None)
    return {} if sample is None else {"latents": sample}


class StepCount:
    """Counts the steps of a scheduler, which may be called more than once in each."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self.restart()

    def restart(self) -> None:
        """Begins again, at whatever timestep comes first: image-to-image skips some."""
        self._first = self._last = -1
        self._timesteps: list[float] = []

    @property
    def done(self) -> int:
        """The steps done."""
        return self._last - self._first + 1

    @property
    def steps(self) -> int:
        """The steps of the whole run."""
        return len(self._timesteps) - self._first

    def advance(self, timestep: Any) -> bool:
        """Notes a call of the scheduler and tells whether it began a step not counted yet."""
        position = self._position(timestep)
        if self._first < 0 or position < self._last:
            self._first = position
        is_new = position != self._last
        self._last = position
        return is_new

    def _position(self, timestep: Any) -> int:
        if not self._timesteps:
            self._timesteps = [float(each) for each in _listed(self._scheduler.timesteps)]
        index = getattr(self._scheduler, "step_index", None)
        if isinstance(index, int):
            return min(index, len(self._timesteps)) - 1  # it has moved on to the next
        return self._find(
            float(timestep.flatten()[0] if hasattr(timestep, "flatten") else timestep)
        )

    def _find(self, timestep: float) -> int:
        """Finds a timestep at or after the last one, as schedulers may repeat a value."""
        for position in (self._last + 1, self._last):
            if 0 <= position < len(self._timesteps) and self._timesteps[position] == timestep:
                return position
        if timestep in self._timesteps:
            return self._timesteps.index(timestep)
        return min(self._last + 1, len(self._timesteps) - 1)


def _listed(timesteps: Any) -> list[Any]:
    return list(timesteps.tolist() if hasattr(timesteps, "tolist") else timesteps)
