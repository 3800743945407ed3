"""A pipeline file is called by the function it has, with the arguments that fit it."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from telefuser_grpc.pipeline.entry import Entry, choose_entry, select_arguments, task_fields
from tests.fakes.pipelines import make_job

FIELDS = {"task_id": "t", "prompt": "a cat", "seed": 7, "output_path": "/out/t.mp4"}


def whole(pipeline: Any, **task: Any) -> None: ...
def chosen(pipeline: Any, prompt: str, seed: int = 0, steps: int = 9) -> None: ...
def keyword_only(pipeline: Any, *, prompt: str) -> None: ...
def identified(pipeline: Any, req_id: str, request_id: str, task_id: str) -> None: ...
def configured(pipeline: Any, ppl_config: dict[str, Any]) -> None: ...
def variadic(pipeline: Any, *rest: Any, seed: int) -> None: ...
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

    entry = choose_entry(module, {"run_with_file": "run_with_file"})

    assert entry is not None
    assert entry.call(None, dict(FIELDS), None) == expected


def test_a_function_is_told_of_documented_fields_that_are_not_given() -> None:
    def demanding(pipeline: Any, prompt: str, negative_prompt: str, first_image_path: str) -> Any:
        return prompt, negative_prompt, first_image_path

    entry = Entry(function=demanding, takes_context=False)

    assert entry.call(None, {"prompt": "a cat"}, None) == ("a cat", "", "")


def test_a_file_without_a_function_has_no_entry() -> None:
    assert choose_entry(ModuleType("pipeline"), {}) is None


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
