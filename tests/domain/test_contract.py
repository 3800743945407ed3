"""Contracts: how they are read, and what they make of a request."""

from typing import Any

import pytest

from telefuser_grpc.domain.contract import (
    Enforcement,
    PipelineContract,
    TaskContract,
    is_empty,
)
from telefuser_grpc.domain.contract_shape import ContractError
from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.errors import (
    InvalidFields,
    MissingInputs,
    MissingParameters,
    TaskNotInferred,
    UnsupportedTask,
)


def i2v(**parameters: dict[str, Any]) -> TaskContract:
    return TaskContract.parse("i2v", {"parameters": parameters})


def serving(*kinds: str) -> PipelineContract:
    return PipelineContract.parse({"supported_tasks": list(kinds)}, stem="file")


def test_an_absent_entry_takes_the_defaults_of_its_kind() -> None:
    contract = TaskContract.parse("i2v", {})

    assert contract.media_type is MediaType.VIDEO
    assert contract.required_inputs == ("first_image_path",)
    assert contract.inputs == ("first_image_path", "last_image_path")


def test_a_declared_entry_wins_over_the_defaults_of_its_kind() -> None:
    declared = {"required_inputs": [], "optional_inputs": ["audio_path"], "media_type": "none"}

    contract = TaskContract.parse("i2v", declared)

    assert contract.required_inputs == ()
    assert contract.optional_inputs == ("audio_path",)
    assert contract.media_type is MediaType.NONE


def test_an_unknown_kind_needs_no_input_and_makes_a_video() -> None:
    contract = TaskContract.parse("dance", {})

    assert contract.inputs == ()
    assert contract.media_type is MediaType.VIDEO


def test_an_unknown_media_type_is_a_contract_error() -> None:
    with pytest.raises(ContractError, match=r"task_contracts\.i2v\.media_type"):
        TaskContract.parse("i2v", {"media_type": "hologram"})


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_an_empty_input_counts_as_missing(empty: Any) -> None:
    with pytest.raises(MissingInputs) as caught:
        i2v().complete({"first_image_path": empty})

    assert caught.value.required == caught.value.missing == ("first_image_path",)


def test_missing_inputs_are_told_before_missing_parameters() -> None:
    with pytest.raises(MissingInputs):
        i2v(prompt={"required": True}).complete({})


def test_missing_parameters_are_told_before_wrong_values() -> None:
    contract = i2v(prompt={"required": True}, seed={"type": "integer"})

    with pytest.raises(MissingParameters) as caught:
        contract.complete({"first_image_path": "a", "prompt": "", "seed": "x"})

    assert caught.value.missing == ("prompt",)


def test_all_wrong_values_are_told_together() -> None:
    contract = i2v(seed={"type": "integer"}, size={"enum": ["480p"]})

    with pytest.raises(InvalidFields) as caught:
        contract.complete({"first_image_path": "a", "seed": "x", "size": "9p"})

    assert [each.field for each in caught.value.violations] == ["seed", "size"]


def test_defaults_fill_what_is_absent() -> None:
    contract = i2v(steps={"default": 40}, seed={"default": 7})

    completed = contract.complete({"first_image_path": "a", "seed": 0, "note": "kept"})

    assert completed == {"first_image_path": "a", "seed": 0, "note": "kept", "steps": 40}


def test_a_required_parameter_is_satisfied_by_its_default() -> None:
    contract = i2v(prompt={"required": True, "default": "a cat"})

    assert contract.complete({"first_image_path": "a"})["prompt"] == "a cat"


def test_a_hidden_parameter_is_neither_filled_nor_required() -> None:
    contract = i2v(secret={"required": True, "default": 1, "exposed": False})

    assert contract.complete({"first_image_path": "a"}) == {"first_image_path": "a"}


def test_a_hidden_parameter_that_is_given_is_kept() -> None:
    contract = i2v(secret={"type": "integer", "exposed": False})

    assert contract.complete({"first_image_path": "a", "secret": 7})["secret"] == 7


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_the_default_of_the_contract_does_not_replace_a_given_nothing(empty: Any) -> None:
    completed = i2v(steps={"default": 40}).complete({"first_image_path": "a", "steps": empty})

    assert completed["steps"] == empty


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_a_required_parameter_that_is_empty_is_missing(empty: Any) -> None:
    with pytest.raises(MissingParameters) as caught:
        i2v(style={"required": True}).complete({"first_image_path": "a", "style": empty})

    assert caught.value.required == caught.value.missing == ("style",)


def test_what_is_generally_required_is_missing_only_where_it_is_not_declared() -> None:
    given = {"first_image_path": "a"}

    with pytest.raises(MissingParameters) as caught:
        i2v(style={"required": True}).complete(given, also_required=["prompt"])

    assert caught.value.missing == ("prompt", "style")
    assert i2v(prompt={}).complete(given, also_required=["prompt"]) == given


@pytest.mark.parametrize("default", ["x", 9])
def test_a_default_is_not_held_against_the_caller(default: Any) -> None:
    contract = i2v(size={"type": "integer", "enum": [1, 2], "default": default})

    assert contract.complete({"first_image_path": "a"})["size"] == default
    with pytest.raises(InvalidFields):
        contract.complete({"first_image_path": "a", "size": default})


def test_a_relaxed_contract_takes_any_value_but_still_requires() -> None:
    contract = i2v(seed={"type": "integer", "required": True})

    relaxed = contract.complete(
        {"first_image_path": "a", "seed": "x"}, enforcement=Enforcement.RELAXED
    )

    assert relaxed["seed"] == "x"
    with pytest.raises(MissingParameters):
        contract.complete({"first_image_path": "a"}, enforcement=Enforcement.RELAXED)


def test_completing_leaves_the_request_alone() -> None:
    fields = {"first_image_path": "a"}

    i2v(steps={"default": 40}).complete(fields)

    assert fields == {"first_image_path": "a"}


@pytest.mark.parametrize("value", [0, 0.0, False, " ", (0,)])
def test_zero_and_false_are_not_empty(value: Any) -> None:
    assert not is_empty(value)


def test_a_pipeline_contract_is_read_with_its_defaults() -> None:
    contract = serving("t2v", "t2i")

    assert contract.pipeline_name == "file"
    assert contract.contract_version == "v1"
    assert contract.declared
    assert list(contract.tasks) == ["t2v", "t2i"]
    assert contract.media_types == ("video", "image")
    assert contract.entrypoints == {name: name for name in ("get_pipeline", "run_with_file")}
    assert contract.execution_mode == "serial_single_pipeline"
    assert contract.effective_max_concurrent_tasks == 1


def test_what_a_contract_says_of_itself_is_kept() -> None:
    declared = {
        "supported_tasks": ["t2v"],
        "contract_version": 2,
        "pipeline_name": "stills",
        "execution_mode": "batched",
        "effective_max_concurrent_tasks": 4,
    }

    contract = PipelineContract.parse(declared, stem="file")

    assert (contract.contract_version, contract.pipeline_name) == ("2", "stills")
    assert (contract.execution_mode, contract.effective_max_concurrent_tasks) == ("batched", 4)


def test_a_pipeline_without_a_name_has_that_of_its_file() -> None:
    declared = {"supported_tasks": ["t2v"], "pipeline_name": ""}

    assert PipelineContract.parse(declared, stem="file").pipeline_name == "file"


def test_a_declared_entry_point_joins_the_usual_ones() -> None:
    declared = {"supported_tasks": "t2v", "entrypoints": {"run_with_file": "main"}}

    contract = PipelineContract.parse(declared, stem="file")

    assert contract.entrypoints == {"get_pipeline": "get_pipeline", "run_with_file": "main"}


def test_supported_tasks_may_be_one_name_and_may_repeat() -> None:
    one = PipelineContract.parse({"supported_tasks": " t2v "}, stem="file")
    repeated = PipelineContract.parse({"supported_tasks": ["t2v", "t2i", "t2v"]}, stem="file")

    assert list(one.tasks) == ["t2v"]
    assert list(repeated.tasks) == ["t2v", "t2i"]


@pytest.mark.parametrize("declared", [{}, {"supported_tasks": []}, {"supported_tasks": None}])
def test_a_contract_names_at_least_one_task(declared: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="supported_tasks"):
        PipelineContract.parse(declared, stem="file")


def test_a_malformed_kind_is_a_contract_error() -> None:
    with pytest.raises(ContractError, match="'T2V'"):
        serving("T2V")


def test_declared_media_types_win_over_those_of_the_tasks() -> None:
    declared = {"supported_tasks": ["t2v"], "supported_media_types": ["video", "audio", "video"]}

    assert PipelineContract.parse(declared, stem="file").media_types == ("video", "audio")


@pytest.mark.parametrize(
    ("kinds", "media_types"),
    [
        (("t2v",), ("video",)),
        (("edit", "i2i"), ("image",)),
        (("t2i", "s2v"), ("video", "image")),
        (("t2i", "dance"), ("image",)),
        (("dance",), ("unknown",)),
    ],
)
def test_media_types_follow_from_the_known_kinds(
    kinds: tuple[str, ...], media_types: tuple[str, ...]
) -> None:
    assert serving(*kinds).media_types == media_types


def test_one_input_may_be_declared_by_its_name_alone() -> None:
    contract = TaskContract.parse("mix", {"required_inputs": "audio_path"})

    assert contract.required_inputs == ("audio_path",)


def test_tasks_keep_the_order_in_which_they_are_supported() -> None:
    declared = {"supported_tasks": ["i2v", "t2v"], "task_contracts": {"t2v": {}, "i2v": {}}}

    assert list(PipelineContract.parse(declared, stem="file").tasks) == ["i2v", "t2v"]


@pytest.mark.parametrize("count", [0, -1, "2", 1.5, None])
def test_fewer_than_one_task_at_a_time_is_a_contract_error(count: Any) -> None:
    declared = {"supported_tasks": ["t2v"], "effective_max_concurrent_tasks": count}

    with pytest.raises(ContractError, match="effective_max_concurrent_tasks"):
        PipelineContract.parse(declared, stem="file")


def test_entries_of_undeclared_tasks_are_dropped() -> None:
    declared = {"supported_tasks": ["t2v"], "task_contracts": {"t2i": {"media_type": "nonsense"}}}

    assert list(PipelineContract.parse(declared, stem="file").tasks) == ["t2v"]


def test_a_legacy_contract_is_the_one_kind_it_is_served_as() -> None:
    contract = PipelineContract.legacy("t2i", stem="file")

    assert not contract.declared
    assert contract.contract_version == "legacy"
    assert list(contract.tasks) == ["t2i"]
    assert contract.pipeline_name == "file"
    assert contract.task("t2i").parameters == {}


def test_an_unsupported_kind_is_told_the_supported_ones() -> None:
    with pytest.raises(UnsupportedTask) as caught:
        serving("t2v", "t2i").task("i2v")

    assert caught.value.supported == ("t2v", "t2i")
    assert caught.value.message == "Task 'i2v' is not supported by the current pipeline"


IMAGE, LAST, VIDEO, SOUND = "first_image_path", "last_image_path", "ref_video_path", "audio_path"


@pytest.mark.parametrize(
    ("supported", "given", "kind"),
    [
        (("t2v", "i2v"), (), "t2v"),
        (("i2i", "t2i", "t2v"), (), "t2i"),
        (("t2v", "i2v", "i2i"), (IMAGE,), "i2v"),
        (("t2v", "i2i", "i2v"), (IMAGE,), "i2i"),
        (("t2v", "i2v", "fl2v"), (IMAGE, LAST), "fl2v"),
        (("t2v", "i2v"), (IMAGE, LAST), "i2v"),
        (("t2v", "vc", "vsr"), (VIDEO,), "vc"),
        (("t2v", "vsr", "vc"), (VIDEO,), "vsr"),
        (("i2v", "vc"), (IMAGE, VIDEO), "i2v"),
        (("t2v", "t2i"), (), "t2v"),
        (("fl2v", "i2v"), (IMAGE,), "i2v"),
    ],
)
def test_a_kind_is_inferred_from_the_media_given(
    supported: tuple[str, ...], given: tuple[str, ...], kind: str
) -> None:
    assert serving(*supported).infer_kind(dict.fromkeys(given, "upload:1")) == kind


def test_an_optional_input_makes_a_kind_fit() -> None:
    declared = {"t2v": {"optional_inputs": [SOUND]}}
    contract = PipelineContract.parse(
        {"supported_tasks": ["t2i", "t2v"], "task_contracts": declared}, stem="file"
    )

    assert contract.infer_kind({SOUND: "upload:1"}) == "t2v"


def test_a_media_type_narrows_what_is_inferred() -> None:
    contract = serving("t2v", "i2v", "i2i")

    assert contract.infer_kind({IMAGE: "a"}, media_type=MediaType.IMAGE) == "i2i"
    with pytest.raises(TaskNotInferred):
        contract.infer_kind({}, media_type=MediaType.IMAGE)


def test_the_kind_declared_first_wins_a_tie() -> None:
    assert serving("t2i", "t2v").infer_kind({"prompt": "a cat"}) == "t2i"


def test_an_empty_input_does_not_count_when_a_kind_is_inferred() -> None:
    assert serving("t2v", "i2v").infer_kind({"first_image_path": ""}) == "t2v"


@pytest.mark.parametrize("given", [(), ("audio_path",)])
def test_no_kind_is_inferred_where_none_fits(given: tuple[str, ...]) -> None:
    with pytest.raises(TaskNotInferred):
        serving("i2v").infer_kind(dict.fromkeys(given, "upload:1"))
