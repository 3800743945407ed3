"""An author's slip in a contract is told with its key; what is meant is left alone."""

from typing import Any

import pytest

from telefuser_grpc.pipeline.catalogue import pipeline_files
from telefuser_grpc.pipeline.contract_doubts import doubts
from telefuser_grpc.pipeline.loader import import_file
from tests.fakes.service import ROOT

WIDTH = {"type": "integer", "default": 64, "minimum": 16, "maximum": 1024}
AT = "task_contracts.t2i.parameters.width"


def contract(**width: Any) -> dict[str, Any]:
    parameters = {"width": WIDTH | width}
    return {
        "pipeline_name": "wall",
        "supported_tasks": ["t2i"],
        "task_contracts": {"t2i": {"media_type": "image", "parameters": parameters}},
    }


def test_sound_contract_has_none() -> None:
    assert list(doubts(contract())) == []


@pytest.mark.parametrize("declared", [None, "t2i", object()])
def test_what_is_no_object_has_none(declared: Any) -> None:
    assert list(doubts(declared)) == []


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        ({"minimun": 2}, f"{AT}.minimun is not known and has no effect; write minimum"),
        ({"defualt": 2}, f"{AT}.defualt is not known and has no effect; write default"),
        ({"type": "int"}, f"{AT}.type is 'int', so values are not checked; take one of string,"),
        ({"default": 2048}, f"{AT}.default is 2048, which a caller may not give: must be at most"),
        ({"default": "wide"}, f"{AT}.default is 'wide', which a caller may not give: must be of"),
        ({"enum": ["32"]}, f"{AT}.default is 64, which a caller may not give: must be one of 32"),
        ({"minimum": 2048}, f"{AT}.minimum is above its maximum, so that no value fits"),
    ],
)
def test_slip_in_a_parameter_is_told(slip: dict[str, Any], told: str) -> None:
    assert any(doubt.startswith(told) for doubt in doubts(contract(**slip)))


def test_slip_in_a_task_is_told() -> None:
    declared = contract()
    declared["task_contracts"]["t2i"]["media_typ"] = "image"

    assert list(doubts(declared)) == [
        "task_contracts.t2i.media_typ is not known and has no effect; write media_type"
    ]


def test_slip_in_the_contract_is_told() -> None:
    assert list(doubts(contract() | {"pipelin_name": "wall"})) == [
        "pipelin_name is not known and has no effect; write pipeline_name"
    ]


def test_task_that_is_not_served_is_told() -> None:
    assert list(doubts(contract() | {"supported_tasks": ["t2v"]})) == [
        "task_contracts.t2i is not served; add 't2i' to supported_tasks"
    ]


@pytest.mark.parametrize("task", [None, "t2i", {"parameters": ["prompt"]}, {"batch": {"keys": 1}}])
def test_task_that_is_not_served_may_hold_anything(task: Any) -> None:
    declared = contract()
    declared["task_contracts"]["t2v"] = task

    assert list(doubts(declared)) == [
        "task_contracts.t2v is not served; add 't2v' to supported_tasks"
    ]


def test_limit_of_what_is_no_input_is_told() -> None:
    declared = contract()
    declared["task_contracts"]["t2i"]["input_limits"] = {"mask": {"max_pixels": 64}}

    assert list(doubts(declared)) == [
        "task_contracts.t2i.input_limits.mask bounds nothing; add 'mask' to the inputs"
    ]


def test_keys_of_its_own_are_left_alone() -> None:
    assert list(doubts(contract(example="red") | {"vendor": "us", "display": {}})) == []


def test_files_of_the_project_have_none() -> None:
    pytest.importorskip("diffusers")
    files = [import_file(path) for path in pipeline_files(ROOT / "pipelines")]

    assert [doubt for file in files for doubt in doubts(file.PIPELINE_CONTRACT)] == []
