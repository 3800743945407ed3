"""Loads a pipeline file: imports it, reads its contract, builds and starts its pipeline."""

import asyncio
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import structlog

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.contract_shape import ContractError
from telefuser_grpc.domain.kinds import DEFAULT_INPUTS
from telefuser_grpc.pipeline.contract_doubts import doubts
from telefuser_grpc.pipeline.diffusers_hooks import diffusers_pipelines
from telefuser_grpc.pipeline.entry import NO_ENTRY_POINT, Entry, choose_entry
from telefuser_grpc.pipeline.failure import public_message, told_of_file
from telefuser_grpc.pipeline.options import ModelOptions

FOR_SESSIONS = "; it defines get_service: serve it with `telefuser stream-serve`"
CONTRACT_FUNCTIONS = ("get_pipeline_contract", "get_pipeline_manifest")
CONTRACT_VALUES = ("PIPELINE_CONTRACT", "PIPELINE_MANIFEST")
PLAIN = ModelOptions()
DEFAULT_TASK = "i2v"  # of a file that declares no contract

logger = structlog.get_logger()


class PipelineLoadError(Exception):
    """A pipeline file cannot be served; the message tells why, without a path or a trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPipeline:
    """A pipeline that is ready to run tasks.

    Attributes:
        runner: The one event loop on which all coroutines of the file are awaited.
    """

    module: ModuleType
    pipeline: Any
    contract: PipelineContract
    entry: Entry
    runner: asyncio.Runner

    def wait(self, value: Any) -> Any:
        """Returns a value, or what it gives when it is awaited."""
        return _wait(self.runner, value)

    def close(self) -> None:
        """Stops the pipeline and forgets the file."""
        try:
            _call_first(self.pipeline, ("astop", "stop"), self.wait)
        except Exception as error:  # the process is leaving anyway
            logger.warning("pipeline did not stop cleanly", error=public_message(error))
        finally:
            self.runner.close()
            sys.modules.pop(self.module.__name__, None)


def load(
    path: Path, *, task: str | None, parallelism: int, options: ModelOptions = PLAIN
) -> LoadedPipeline:
    """Loads a pipeline file; `task` is the kind it is served as when it declares no contract.

    Such a file is served as `i2v` where no kind is named. `get_pipeline` is given `parallelism`
    and `options` where it names them.
    Blocks until the pipeline has started and is warm. Runs outside of any event loop.

    Raises:
        PipelineLoadError
    """
    module = import_file(path)
    runner = asyncio.Runner()
    try:
        contract = _read_contract(module, task=task, stem=path.stem)
        entry = _choose_entry(module, contract)
        wanted = {"parallelism": parallelism, "options": options}
        pipeline = _start(module, contract, wanted, runner)
    except BaseException as error:
        runner.close()
        sys.modules.pop(module.__name__, None)
        if isinstance(error, PipelineLoadError | KeyboardInterrupt):
            raise
        raise PipelineLoadError(told_of_file(error, path)) from error
    return LoadedPipeline(
        module=module, pipeline=pipeline, contract=contract, entry=entry, runner=runner
    )


def import_file(path: Path) -> ModuleType:
    """Runs a pipeline file as a module of its own name. Raises PipelineLoadError."""
    if not path.is_file():
        raise PipelineLoadError(f"Pipeline file {path.name} does not exist")
    absolute = str(path.absolute())
    digest = hashlib.md5(absolute.encode(), usedforsecurity=False).hexdigest()
    name = f"telefuser_ppl_{digest[:12]}"
    spec = importlib.util.spec_from_file_location(name, absolute)
    if spec is None or spec.loader is None:
        raise PipelineLoadError(f"Pipeline file {path.name} is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PipelineLoadError(told_of_file(error, path)) from error
    return module


def declared_contract(module: ModuleType, *, stem: str) -> PipelineContract | None:
    """Returns the contract that a file declares, if it does. Raises PipelineLoadError."""
    return _parse(_declaration(module), stem=stem)


def _parse(
    declared: Mapping[str, Any] | PipelineContract | None, *, stem: str
) -> PipelineContract | None:
    if declared is None or isinstance(declared, PipelineContract):
        return declared
    try:
        return PipelineContract.parse(declared, stem=stem)
    except ContractError as error:
        raise PipelineLoadError(f"Pipeline contract: {error}") from error


def _read_contract(module: ModuleType, *, task: str | None, stem: str) -> PipelineContract:
    declared = _declaration(module)
    contract = _parse(declared, stem=stem)
    for doubt in doubts(declared):
        logger.warning("pipeline contract is doubtful", file=f"{stem}.py", doubt=doubt)
    if contract is None:
        return PipelineContract.legacy(_known(task or DEFAULT_TASK), stem=stem)
    if task is not None and task not in contract.tasks:
        raise PipelineLoadError(
            f"Pipeline contract for {contract.pipeline_name} does not declare support for task "
            f"'{task}'"
        )
    return contract


def _known(task: str) -> str:
    if task not in DEFAULT_INPUTS:
        names = ", ".join(DEFAULT_INPUTS)
        raise PipelineLoadError(f"Task '{task}' is unknown; name one of {names}, or a contract")
    return task


def _declaration(module: ModuleType) -> Mapping[str, Any] | PipelineContract | None:
    names = [name for name in CONTRACT_FUNCTIONS if callable(getattr(module, name, None))]
    names += [name for name in CONTRACT_VALUES if hasattr(module, name)]
    if not names:
        return None
    declared = getattr(module, names[0])
    declared = declared() if callable(declared) else declared
    if not isinstance(declared, Mapping | PipelineContract):
        raise PipelineLoadError(
            "Pipeline contract must be a dict, PipelineContract, or returned from a callable"
        )
    return declared


def _choose_entry(module: ModuleType, contract: PipelineContract) -> Entry:
    entry = choose_entry(module, contract)
    if entry is None:
        is_stream = callable(getattr(module, "get_service", None))
        raise PipelineLoadError(NO_ENTRY_POINT + (FOR_SESSIONS if is_stream else ""))
    batched = next((each.kind for each in contract.tasks.values() if each.batching), None)
    if batched is not None and entry.together is None:
        raise PipelineLoadError(
            f"task_contracts.{batched}.batch: the pipeline file must define run_batch(pipeline, "
            "requests, contexts) for it"
        )
    return entry


def _start(
    module: ModuleType,
    contract: PipelineContract,
    wanted: Mapping[str, Any],
    runner: asyncio.Runner,
) -> Any:
    name = contract.entrypoints.get("get_pipeline", "get_pipeline")
    build = getattr(module, name, None)
    if not callable(build):
        raise PipelineLoadError(f"Pipeline file must define {name}(...)")

    def wait(value: Any) -> Any:
        return _wait(runner, value)

    pipeline = wait(build(**_understood(build, wanted)))
    for each in diffusers_pipelines(pipeline):
        each.set_progress_bar_config(disable=True)  # a server's log has lines, not bars
    _call_first(pipeline, ("astart", "start"), wait)
    if callable(warmup := getattr(module, "warmup", None)):
        wait(warmup(pipeline))
    return pipeline


def _understood(build: Callable[..., Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those arguments that a function takes; a file written for others takes fewer.

    Raises:
        PipelineLoadError: It needs others.
    """
    parameters = inspect.signature(build).parameters.values()
    if strange := [
        each.name for each in parameters if _is_needed(each) and each.name not in wanted
    ]:
        raise PipelineLoadError(
            f"{build.__name__} needs {', '.join(strange)}, which nothing gives: it may take "
            f"{' and '.join(wanted)}; give others a default"
        )
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return {"parallelism": wanted["parallelism"]}
    names = {each.name for each in parameters}
    return {name: value for name, value in wanted.items() if name in names}


def _is_needed(parameter: inspect.Parameter) -> bool:
    is_rest = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not is_rest


def _call_first(owner: Any, names: tuple[str, ...], wait: Callable[[Any], Any]) -> None:
    methods = [getattr(owner, name, None) for name in names]
    if method := next(filter(callable, methods), None):
        wait(method())


def _wait(runner: asyncio.Runner, value: Any) -> Any:
    return runner.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Any) -> Any:
    return await value
