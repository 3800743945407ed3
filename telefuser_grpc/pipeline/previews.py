"""Previews of models whose latents are packed: tokens in a row, without a width and a height."""

from collections.abc import Callable
from typing import Any

from telefuser_grpc.pipeline.latents import picture_of

Callback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]


def token_previews(context: Any, *, aspect: float) -> Callback:
    """Returns a `callback_on_step_end` that shows the tokens of a picture, each as a pixel.

    Args:
        aspect: The picture's width by its height.
    """

    def on_step_end(
        pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        context.preview(lambda: picture_of(pipe, {"latents": _grid(tensors["latents"], aspect)}))
        return tensors

    return on_step_end


def _grid(latents: Any, aspect: float) -> Any:
    """Lays (B, tokens, channels) out as (B, channels, rows, columns)."""
    count = latents.shape[1]
    columns = min(
        (each for each in range(1, count + 1) if count % each == 0),
        key=lambda each: abs(each * each - count * aspect),
    )
    return latents.movedim(1, 2).unflatten(2, (count // columns, columns))
