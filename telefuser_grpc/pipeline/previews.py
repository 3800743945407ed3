"""Previews of models whose latents are packed: tokens in a row, without a width and a height."""

from collections.abc import Callable
from functools import partial
from typing import Any

from telefuser_grpc.pipeline.latents import picture_of

Callback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]


def token_previews(*contexts: Any, aspect: float) -> Callback:
    """Returns a `callback_on_step_end` that shows the tokens of pictures, each as a pixel.

    Args:
        contexts: Whom to show a picture, in the order of the latents' rows.
        aspect: The pictures' width by their height.
    """

    def on_step_end(
        pipe: Any, index: int, timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        for row, context in enumerate(contexts):
            if not context.cancelled:
                context.preview(partial(_picture, pipe, tensors["latents"][row : row + 1], aspect))
        return tensors

    return on_step_end


def _picture(pipe: Any, latents: Any, aspect: float) -> Any:
    return picture_of(pipe, {"latents": _grid(latents, aspect)})


def _grid(latents: Any, aspect: float) -> Any:
    """Lays (B, tokens, channels) out as (B, channels, rows, columns)."""
    count = latents.shape[1]
    columns = min(
        (each for each in range(1, count + 1) if count % each == 0),
        key=lambda each: abs(each * each - count * aspect),
    )
    return latents.movedim(1, 2).unflatten(2, (count // columns, columns))
