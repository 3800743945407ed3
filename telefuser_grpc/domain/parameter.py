"""One parameter of a contract, and what may be wrong with a value given for it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from telefuser_grpc.errors import Violation

PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A named value that a task may be given; None bounds nothing."""

    name: str
    type: str = "string"
    required: bool = False
    default: Any = None
    description: str = ""
    enum: tuple[str, ...] = ()
    exposed: bool = True
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str = ""
    unit: str = ""

    @classmethod
    def parse(cls, name: str, declared: Mapping[str, Any]) -> "Parameter":
        """Reads one entry of a contract's `parameters`; unknown keys are left alone."""
        default = declared.get("default")
        return cls(
            name=name,
            type=declared.get("type") or _type_of(default),
            required=bool(declared.get("required", False)),
            default=default,
            description=declared.get("description", ""),
            enum=tuple(dict.fromkeys(_plain(each) for each in declared.get("enum") or ())),
            exposed=bool(declared.get("exposed", True)),
            minimum=declared.get("minimum"),
            maximum=declared.get("maximum"),
            min_length=declared.get("min_length"),
            max_length=declared.get("max_length"),
            pattern=declared.get("pattern") or "",
            unit=declared.get("unit") or "",
        )

    def violations(self, value: Any) -> Iterator[Violation]:
        """Yields what is wrong with a value that is not empty."""
        if not self._has_type(value):
            yield Violation(self.name, f"must be of type {self.type}", f"{self.type}_type")
            return
        if self.enum and _plain(value) not in self.enum:
            yield Violation(self.name, f"must be one of {', '.join(self.enum)}", "enum")
        if self.type in ("integer", "number"):
            yield from self._out_of_range(value)
        if self.type in ("string", "array"):
            yield from self._wrong_length(value)
        if self.pattern and not re.fullmatch(self.pattern, str(value)):
            yield Violation(self.name, f"must match {self.pattern}", "string_pattern_mismatch")

    def _has_type(self, value: Any) -> bool:
        if isinstance(value, bool):
            return self.type == "boolean"
        return isinstance(value, PYTHON_TYPES.get(self.type, (object,)))

    def _out_of_range(self, value: float) -> Iterator[Violation]:
        if value != value or value in (float("inf"), float("-inf")):
            yield Violation(self.name, "must be a finite number", "finite_number")
        if self.minimum is not None and value < self.minimum:
            least = f"must be at least {_plain(self.minimum)}"
            yield Violation(self.name, least, "greater_than_equal")
        if self.maximum is not None and value > self.maximum:
            yield Violation(self.name, f"must be at most {_plain(self.maximum)}", "less_than_equal")

    def _wrong_length(self, value: Any) -> Iterator[Violation]:
        if self.min_length is not None and len(value) < self.min_length:
            yield Violation(self.name, f"needs at least {self.min_length} of length", "too_short")
        if self.max_length is not None and len(value) > self.max_length:
            yield Violation(
                self.name, f"is {len(value)} long, at most {self.max_length} allowed", "too_long"
            )


def _plain(value: Any) -> str:
    """Returns a value as people write it: whole numbers are floats once they have been sent."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _type_of(default: Any) -> str:
    if isinstance(default, bool):
        return "boolean"
    for name in ("integer", "number", "array", "object"):
        if isinstance(default, PYTHON_TYPES[name]):
            return name
    return "string"
