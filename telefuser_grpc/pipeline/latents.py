"""Looks into a running diffusers pipeline: how many steps it makes and what its latents show."""

from collections.abc import Mapping
from typing import Any

PREVIEW_TENSORS = ("denoised", "latents")
PREVIEW_SIDE = 256


def steps_of(pipe: Any) -> int:
    """Returns the steps of the current call, which need not be those asked for; 0 if unknown."""
    for name in ("num_timesteps", "_num_timesteps"):
        steps = getattr(pipe, name, None)
        if isinstance(steps, int) and steps > 0:
            return steps
    timesteps = getattr(getattr(pipe, "scheduler", None), "timesteps", None)
    return 0 if timesteps is None else len(timesteps)


def picture_of(pipe: Any, tensors: Mapping[str, Any]) -> Any:
    """Returns a PIL image of a step's tensors, or None where they cannot be seen cheaply.

    The pipeline's own `decode_preview(latents)` is asked first.
    """
    latents = next((tensors[name] for name in PREVIEW_TENSORS if name in tensors), None)
    if latents is None:
        return None
    if callable(decode := getattr(pipe, "decode_preview", None)):
        return decode(latents)
    return _first_channels(latents, channels=_channel_count(pipe))


def _channel_count(pipe: Any) -> int:
    config = getattr(getattr(pipe, "vae", None), "config", {})
    for name in ("z_dim", "latent_channels"):
        if isinstance(count := getattr(config, name, None), int):
            return count
    return 0


def _first_channels(latents: Any, *, channels: int) -> Any:
    """Shows the first three channels of (B, C, H, W), (B, C, F, H, W) or (B, F, C, H, W)."""
    if latents.ndim == 4:
        still = latents[0]
    elif latents.ndim == 5 and latents.shape[2] == channels != latents.shape[1]:
        still = latents[0, latents.shape[1] // 2]
    elif latents.ndim == 5:
        still = latents[0, :, latents.shape[2] // 2]
    else:
        return None  # packed tokens have no rows and columns
    return _to_image(still[:3].detach().float().nan_to_num().cpu().numpy())


def _to_image(channels: Any) -> Any:
    from PIL import Image  # not needed by runs without previews

    low, high = channels.min(), channels.max()
    pixels = (channels - low) * (255 / max(high - low, 1e-6))
    if len(channels) < 3:
        pixels = pixels[:1].repeat(3, axis=0)
    image = Image.fromarray(pixels.round().astype("uint8").transpose(1, 2, 0))
    scale = PREVIEW_SIDE / max(image.size)
    return image.resize([max(1, round(side * scale)) for side in image.size])
