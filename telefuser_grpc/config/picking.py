"""Decides which of several variables counts for a setting."""

from collections.abc import Mapping, Sequence

from telefuser_grpc.config.names import FIELDS, spellings
from telefuser_grpc.config.sources import Given, Layer


def pick(layers: Sequence[Layer]) -> dict[str, Given]:
    """Returns what counts for each field: of the first layer that names it, the first spelling."""
    picked: dict[str, Given] = {}
    for layer in layers:
        for field, candidates in by_field(layer).items():
            picked.setdefault(field, candidates[0])
    return picked


def by_field(layer: Layer) -> Mapping[str, Sequence[Given]]:
    """Returns the variables of each field, the one that counts first."""
    fields: dict[str, list[Given]] = {}
    for each in layer.given:
        if each.name in FIELDS:
            fields.setdefault(FIELDS[each.name], []).append(each)
    return {
        field: sorted(candidates, key=lambda each: spellings(FIELDS[each.name]).index(each.name))
        for field, candidates in fields.items()
    }
