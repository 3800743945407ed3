"""Says what was given and does not count, so that a slip of the pen is seen."""

from collections.abc import Iterator, Mapping, Sequence

from telefuser_grpc.config.names import objection, variable
from telefuser_grpc.config.picking import by_field
from telefuser_grpc.config.settings import Settings
from telefuser_grpc.config.sources import Layer


def complaints(layers: Sequence[Layer]) -> Iterator[str]:
    """Yields a sentence for each variable or line without effect."""
    for layer in layers:
        yield from layer.complaints
        yield from _strangers(layer)
        yield from _rivals(layer)


def notes(settings: Settings, sources: Mapping[str, str]) -> Iterator[str]:
    """Yields a sentence for each value that is allowed and may surprise."""
    if 0 < settings.port < 1024:
        yield f"{sources['port']}: ports below 1024 need privileges"
    if settings.trust_gateway and settings.gateway:
        yield (
            f"{sources['trust_gateway']} is for a gateway elsewhere and has no effect beside"
            f" the service's own; set {variable('gateway')}=false"
        )
    if "max_concurrent_tasks" in sources:
        yield (
            f"{sources['max_concurrent_tasks']} is only reported;"
            f" {variable('num_replicas')} says how many tasks run at once"
        )


def _strangers(layer: Layer) -> Iterator[str]:
    for each in layer.given:
        if why := objection(each.name):
            yield f"{each} {why}"


def _rivals(layer: Layer) -> Iterator[str]:
    for winner, *losers in by_field(layer).values():
        for loser in losers:
            if loser.value != winner.value:
                yield f"{loser} is ignored: {winner} says otherwise and wins"
