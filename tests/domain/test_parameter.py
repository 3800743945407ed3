"""Parameters: how a declaration is read and what a value may be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefuser_grpc.domain.parameter import Parameter


def types_of(parameter: Parameter, value: Any) -> list[str]:
    return [each.type for each in parameter.violations(value)]


@pytest.mark.parametrize(
    ("default", "type"),
    [
        (True, "boolean"),
        (3, "integer"),
        (0.5, "number"),
        (["a"], "array"),
        (("a",), "array"),
        ({"a": 1}, "object"),
        ("a", "string"),
        (None, "string"),
    ],
)
def test_a_missing_type_is_told_by_the_default(default: Any, type: str) -> None:
    assert Parameter.parse("p", {"default": default}).type == type


def test_a_declared_type_wins_over_the_default() -> None:
    assert Parameter.parse("p", {"type": "number", "default": 3}).type == "number"


def test_a_bare_declaration_is_an_exposed_optional_string() -> None:
    assert Parameter.parse("p", {}) == Parameter(name="p", type="string")


def test_a_full_declaration_is_read() -> None:
    declared = {
        "type": "integer",
        "required": True,
        "default": 5,
        "description": "how long",
        "exposed": False,
        "minimum": 1,
        "maximum": 9,
        "unit": "s",
        "widget": "slider",
    }

    parameter = Parameter.parse("p", declared)

    assert parameter == Parameter(
        name="p",
        type="integer",
        required=True,
        default=5,
        description="how long",
        exposed=False,
        minimum=1,
        maximum=9,
        unit="s",
    )


def test_choices_become_text_without_repetition() -> None:
    assert Parameter.parse("p", {"enum": [480, "720p", 480]}).enum == ("480", "720p")


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("string", "a"),
        ("integer", 3),
        ("number", 3),
        ("number", 0.5),
        ("boolean", False),
        ("array", [1]),
        ("object", {"a": 1}),
        ("anything", object()),
    ],
)
def test_a_value_of_the_type_is_right(type: str, value: Any) -> None:
    assert types_of(Parameter(name="p", type=type), value) == []


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("string", 3),
        ("integer", 0.5),
        ("integer", "3"),
        ("integer", True),
        ("number", True),
        ("number", "0.5"),
        ("boolean", 1),
        ("array", "abc"),
        ("object", [1]),
    ],
)
def test_a_value_of_another_type_is_the_only_violation(type: str, value: Any) -> None:
    parameter = Parameter(name="p", type=type, enum=("x",), pattern="x", min_length=99, minimum=99)

    assert types_of(parameter, value) == [f"{type}_type"]


def test_a_value_outside_the_choices_is_told_them() -> None:
    (violation,) = Parameter(name="p", enum=("480p", "720p")).violations("9999p")

    assert violation.field == "p"
    assert violation.type == "enum"
    assert "480p, 720p" in violation.message


def test_a_number_may_be_one_of_the_choices() -> None:
    assert types_of(Parameter(name="p", type="integer", enum=("480", "720")), 480) == []


@pytest.mark.parametrize(
    ("value", "types"),
    [(1, []), (9, []), (0, ["greater_than_equal"]), (10, ["less_than_equal"])],
)
def test_bounds_are_inclusive(value: int, types: list[str]) -> None:
    assert types_of(Parameter(name="p", type="integer", minimum=1, maximum=9), value) == types


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_must_be_finite(value: float) -> None:
    assert types_of(Parameter(name="p", type="number"), value) == ["finite_number"]


@pytest.mark.parametrize(
    ("type", "value", "types"),
    [
        ("string", "ab", []),
        ("string", "a", ["too_short"]),
        ("string", "abcd", ["too_long"]),
        ("array", [1], ["too_short"]),
        ("array", [1, 2, 3, 4], ["too_long"]),
    ],
)
def test_lengths_bound_text_and_lists(type: str, value: Any, types: list[str]) -> None:
    assert types_of(Parameter(name="p", type=type, min_length=2, max_length=3), value) == types


@pytest.mark.parametrize(
    ("value", "types"), [("12x34", []), ("12x34!", ["string_pattern_mismatch"])]
)
def test_a_pattern_must_match_the_whole_value(value: str, types: list[str]) -> None:
    assert types_of(Parameter(name="p", pattern=r"\d+x\d+"), value) == types


@given(st.integers())
def test_within_bounds_means_no_violation(value: int) -> None:
    parameter = Parameter(name="p", type="integer", minimum=-5, maximum=5)

    assert bool(types_of(parameter, value)) == (not -5 <= value <= 5)


@pytest.mark.parametrize(
    ("bound", "told"), [(64, "at least 64"), (64.0, "at least 64"), (0.5, "at least 0.5")]
)
def test_bound_is_told_as_it_is_written(bound: float, told: str) -> None:
    (violation,) = Parameter(name="p", type="number", minimum=bound).violations(0)

    assert violation.message == f"must be {told}"


@pytest.mark.parametrize("value", [2, 2.0, 2.25])
def test_a_choice_among_numbers_is_taken_in_any_spelling(value: float) -> None:
    parameter = Parameter.parse("p", {"type": "number", "enum": [2.0, 2.25]})

    assert types_of(parameter, value) == []
    assert types_of(parameter, value + 1) == ["enum"]
