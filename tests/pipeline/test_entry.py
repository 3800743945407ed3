"""A pipeline file is called by the function it has, with the arguments that fit it."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.pipeline.entry import (
    GENERIC_DEFAULTS,
    NOT_GIVEN,
    Entry,
    choose_entry,
    select_arguments,
    task_fields,
)
from telefuser_grpc.server.rest.tasks import CreateTaskBody
from tests.fakes.pipelines import make_job

FIELDS = {"task_id": "t", "prompt": "a cat", "seed": 7, "output_path": "/out/t.mp4"}
CONTRACT = PipelineContract.parse(
    {
        "supported_tasks": ["t2v", "t2i"],
        "task_contracts": {
            "t2v": {"parameters": {"seed": {"type": "integer"}, "resolution": {"exposed": False}}}
        },
    },
    stem="pipeline",
)


def whole(pipeline: Any, **task: Any) -> None: ...
def chosen(pipeline: Any, prompt: str, seed: int = 0, steps: int = 9) -> None: ...
def keyword_only(pipeline: Any, *, prompt: str) -> None: ...
def identified(pipeline: Any, req_id: str, request_id: str, task_id: str) -> None: ...
def configured(pipeline: Any, ppl_config: dict[str, Any]) -> None: ...
def variadic(pipeline: Any, *rest: Any, seed: int) -> None: ...
def positional(pipeline: Any, prompt: Any = "", /, seed: int = 0) -> None: ...
def prompt_is_first(prompt: Any, **task: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (whole, FIELDS),
        (chosen, {"prompt": "a cat", "seed": 7}),
        (keyword_only, {"prompt": "a cat"}),
        (identified, {"req_id": "t", "request_id": "t", "task_id": "t"}),
        (configured, {"ppl_config": {"target_fps": 24}}),
        (variadic, {"seed": 7}),
        (positional, {"seed": 7}),
        (prompt_is_first, {name: FIELDS[name] for name in FIELDS if name != "prompt"}),
    ],
)
def test_a_function_gets_what_its_signature_asks_for(
    function: Callable[..., Any], expected: dict[str, Any]
) -> None:
    assert select_arguments(function, FIELDS, ppl_config={"target_fps": 24}) == expected


@pytest.mark.parametrize("name", ["first_image_path", "image_path"])
def test_image_parameters_get_the_opened_picture(tmp_path: Path, name: str) -> None:
    def animate(pipeline: Any, image: Any, input_image: Any) -> None: ...

    path = tmp_path / "in.png"
    Image.new("RGBA", (4, 2), (255, 0, 0, 9)).save(path)

    arguments = select_arguments(animate, FIELDS | {name: str(path)})

    assert {key: (each.mode, each.size) for key, each in arguments.items()} == {
        "image": ("RGB", (4, 2)),
        "input_image": ("RGB", (4, 2)),
    }


def test_image_parameters_stay_out_where_there_is_no_picture() -> None:
    def animate(pipeline: Any, image: Any = None) -> None: ...

    assert select_arguments(animate, FIELDS | {"first_image_path": ""}) == {}


def ours(pipeline: Any, request: Any, context: Any) -> str:
    return "ours"


def theirs(pipeline: Any, **task: Any) -> str:
    return "with file"


def plain(pipeline: Any, prompt: str, seed: int) -> str:
    return "plain"


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        ({"run": ours, "run_with_file": theirs}, "ours"),
        ({"run": plain, "run_with_file": theirs}, "with file"),
        ({"run": plain}, "plain"),
    ],
)
def test_our_run_goes_before_run_with_file_and_that_before_another_run(
    functions: dict[str, Any], expected: str
) -> None:
    module = ModuleType("pipeline")
    vars(module).update(functions)

    entry = choose_entry(module, CONTRACT)

    assert entry is not None
    assert entry.call(None, dict(FIELDS), None) == expected


def test_a_function_is_told_of_documented_fields_that_are_not_given() -> None:
    def demanding(pipeline: Any, prompt: str, negative_prompt: str, first_image_path: str) -> Any:
        return prompt, negative_prompt, first_image_path

    entry = Entry(function=demanding, takes_context=False, contract=CONTRACT)

    assert entry.call(None, {"prompt": "a cat"}, None) == ("a cat", "", "")


def everything(pipeline: Any, **task: Any) -> dict[str, Any]:
    return task


def told(kind: str, **fields: Any) -> dict[str, Any]:
    """Returns what a function that takes everything is told of a task."""
    entry = Entry(function=everything, takes_context=False, contract=CONTRACT)
    task: dict[str, Any] = entry.call(None, {"task": kind, **fields}, None)
    return task


def test_a_function_is_told_the_generic_defaults_of_what_its_contract_does_not_declare() -> None:
    assert GENERIC_DEFAULTS.items() <= told("t2i").items()
    assert told("t2v").keys() & GENERIC_DEFAULTS.keys() == GENERIC_DEFAULTS.keys() - {
        "seed",
        "resolution",
    }


@pytest.mark.parametrize("seed", [0, None])
def test_what_is_given_goes_before_the_general_default(seed: int | None) -> None:
    assert told("t2i", seed=seed)["seed"] == seed


def test_generic_defaults_reach_a_signature_that_has_none_of_its_own() -> None:
    def demanding(pipeline: Any, seed: int, resolution: str) -> tuple[int, str]:
        return seed, resolution

    entry = Entry(function=demanding, takes_context=False, contract=CONTRACT)

    assert entry.call(None, {"task": "t2i"}, None) == (42, "720p")


def test_generic_defaults_are_those_of_the_documented_request() -> None:
    absent = {"task", "task_id", "output_path", "audio_path"}  # told of otherwise, or not at all
    documented = {
        name: field.default
        for name, field in CreateTaskBody.model_fields.items()
        if name not in absent
    }

    assert documented == NOT_GIVEN | GENERIC_DEFAULTS


def test_our_run_is_told_nothing_but_the_request() -> None:
    entry = Entry(function=lambda *given: given[1], takes_context=True, contract=CONTRACT)

    assert entry.call(None, {"task": "t2i"}, None) == {"task": "t2i"}


def test_a_file_without_a_function_has_no_entry() -> None:
    assert choose_entry(ModuleType("pipeline"), CONTRACT) is None


def test_a_pipeline_is_told_absolute_paths(tmp_path: Path) -> None:
    job = make_job(
        tmp_path,
        output_name="sub/t.mp4",
        fields={"first_image_path": "inputs/a.png", "prompt": "x", "output_path": "sub/t.mp4"},
        inputs={"first_image_path": "/tasks/t/inputs/a.png"},
    )

    assert task_fields(job) == {
        "first_image_path": "/tasks/t/inputs/a.png",
        "prompt": "x",
        "task": "t2v",
        "task_id": "t",
        "output_path": str(tmp_path / "sub/t.mp4"),
    }
