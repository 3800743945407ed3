"""Which tasks can be made together, as contracts say it."""

from typing import Any

import pytest

from telefuser_grpc.domain.batching import Batching
from telefuser_grpc.domain.contract import TaskContract
from telefuser_grpc.domain.contract_shape import ContractError


def test_a_contract_names_its_keys_and_the_most_tasks() -> None:
    declared = {"batch": {"keys": ["resolution", " steps ", "resolution"], "max_size": 4}}

    contract = TaskContract.parse("t2v", declared)

    assert contract.batching == Batching(keys=("resolution", "steps"), max_size=4)


def test_without_a_word_nothing_is_made_together() -> None:
    assert TaskContract.parse("t2v", {}).batching is None
    assert TaskContract.parse("t2v", {"batch": None}).batching is None


def test_no_keys_make_all_tasks_of_a_kind_compatible() -> None:
    assert Batching.parse("batch", {"keys": [], "max_size": 2}).keys == ()


@pytest.mark.parametrize(
    ("declared", "key"),
    [
        (4, "batch: must be an object"),
        ({"max_size": 4}, "batch.keys: must be a list"),
        ({"keys": "resolution", "max_size": 4}, "batch.keys: must be a list"),
        ({"keys": {"a": 1}, "max_size": 4}, "batch.keys: must be a list"),
        ({"keys": [1], "max_size": 4}, "batch.keys: 1 is no parameter's name"),
        ({"keys": [" "], "max_size": 4}, "batch.keys: ' ' is no parameter's name"),
        ({"keys": ["first_image_path"], "max_size": 4}, "batch.keys: 'first_image_path' is an inp"),
        ({"keys": []}, "batch.max_size: must be an integer of at least 1, not None"),
        ({"keys": [], "max_size": 0}, "batch.max_size: must be an integer of at least 1, not 0"),
        ({"keys": [], "max_size": True}, "batch.max_size: must be an integer"),
        ({"keys": [], "max_size": 2.5}, "batch.max_size: must be an integer"),
        ({"keys": [], "max_size": 2, "size": 3}, "batch.size: unknown; there are keys and max"),
    ],
)
def test_what_makes_no_sense_is_named(declared: Any, key: str) -> None:
    with pytest.raises(ContractError) as caught:
        TaskContract.parse("i2v", {"batch": declared})

    assert str(caught.value).startswith(f"task_contracts.i2v.{key}")
