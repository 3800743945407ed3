"""What no contract may hold, and which key is named."""

from typing import Any

import pytest

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.contract_shape import ContractError


def read(**declared: Any) -> PipelineContract:
    return PipelineContract.parse({"supported_tasks": ["t2v"]} | declared, stem="file")


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"pipeline_name": 5}, "pipeline_name: must be text, not 5"),
        ({"supported_tasks": 5}, "supported_tasks: must be a name or a list of names, not 5"),
        ({"supported_media_types": 5}, "supported_media_types: must be a name or a list of names"),
        ({"execution_mode": 5}, "execution_mode: must be text"),
        ({"entrypoints": ["main"]}, "entrypoints: must be an object"),
        ({"entrypoints": {"run_with_file": 5}}, "entrypoints.run_with_file: must be text"),
        ({"task_contracts": ["t2v"]}, "task_contracts: must be an object"),
    ],
)
def test_a_key_of_another_type_is_named(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError) as caught:
        read(**declared)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("t2v", "task_contracts.t2v: must be an object, not 't2v'"),
        ({"media_type": 5}, "task_contracts.t2v.media_type: must be text"),
        ({"required_inputs": 5}, "task_contracts.t2v.required_inputs: must be a name or a list"),
        ({"optional_inputs": 5}, "task_contracts.t2v.optional_inputs: must be a name or a list"),
        ({"parameters": ["seed"]}, "task_contracts.t2v.parameters: must be an object"),
    ],
)
def test_a_key_of_a_task_contract_of_another_type_is_named(task: Any, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        read(task_contracts={"t2v": task})

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("integer", ": must be an object, not 'integer'"),
        ({"type": int}, ".type: must be text"),
        ({"description": 5}, ".description: must be text"),
        ({"enum": "480p"}, ".enum: must be a list, not '480p'"),
        ({"minimum": "1"}, ".minimum: must be a number"),
        ({"maximum": [9]}, ".maximum: must be a number"),
        ({"min_length": 0.5}, ".min_length: must be an integer"),
        ({"max_length": "9"}, ".max_length: must be an integer"),
        ({"pattern": 5}, ".pattern: must be text"),
        ({"pattern": "["}, ".pattern: no regular expression"),
        ({"unit": 5}, ".unit: must be text"),
    ],
)
def test_a_key_of_a_parameter_of_another_type_is_named(parameter: Any, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        read(task_contracts={"t2v": {"parameters": {"size": parameter}}})

    assert str(caught.value).startswith(f"task_contracts.t2v.parameters.size{message}")


def test_a_key_without_a_value_is_as_good_as_absent() -> None:
    keys = ("contract_version", "pipeline_name", "execution_mode", "entrypoints")
    task = dict.fromkeys(("media_type", "parameters"))

    bare = read(task_contracts={"t2v": task}, **dict.fromkeys((*keys, "supported_media_types")))

    assert bare == read()
