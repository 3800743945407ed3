"""Which tasks of a kind a pipeline can make together, as its contract says."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from telefuser_grpc.domain.contract_shape import ContractError
from telefuser_grpc.domain.kinds import INPUT_FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Tasks that agree in all keys, and in which inputs they have, can be made together.

    Attributes:
        keys: The parameters whose values must be equal.
        max_size: The most tasks in a batch.
    """

    keys: tuple[str, ...]
    max_size: int

    @classmethod
    def parse(cls, path: str, declared: Mapping[str, Any]) -> "Batching":
        """Reads `batch` of a kind of task; `path` leads there.

        Raises:
            ContractError: A key is missing, unknown, or has a value that makes no sense.
        """
        if unknown := sorted(set(declared) - {"keys", "max_size"}, key=str):
            raise ContractError(f"{path}.{unknown[0]}: unknown; there are keys and max_size")
        return cls(
            keys=_keys(f"{path}.keys", declared.get("keys")),
            max_size=_max_size(f"{path}.max_size", declared.get("max_size")),
        )


def _keys(path: str, declared: Any) -> tuple[str, ...]:
    if isinstance(declared, str | Mapping) or not isinstance(declared, Collection):
        raise ContractError(f"{path}: must be a list of parameters, not {declared!r}")
    for key in declared:
        if not isinstance(key, str) or not key.strip():
            raise ContractError(f"{path}: {key!r} is no parameter's name")
        if key.strip() in INPUT_FIELDS:
            raise ContractError(f"{path}: {key!r} is an input; name parameters only")
    return tuple(dict.fromkeys(key.strip() for key in declared))


def _max_size(path: str, declared: Any) -> int:
    if not isinstance(declared, int) or isinstance(declared, bool) or declared < 1:
        raise ContractError(f"{path}: must be an integer of at least 1, not {declared!r}")
    return declared
