"""Latents of the usual layouts become a picture; others are left alone."""

from types import SimpleNamespace

import pytest

from telefuser_grpc.pipeline.latents import picture_of, steps_of

torch = pytest.importorskip("torch")

SIXTEEN = SimpleNamespace(vae=SimpleNamespace(config=SimpleNamespace(z_dim=16)))
UNKNOWN = SimpleNamespace()


@pytest.mark.parametrize(
    ("pipe", "shape", "size"),
    [
        (UNKNOWN, (1, 4, 8, 16), (256, 128)),
        (SIXTEEN, (1, 16, 5, 8, 16), (256, 128)),
        (SIXTEEN, (1, 5, 16, 8, 16), (256, 128)),
        (UNKNOWN, (1, 1, 8, 8), (256, 256)),
    ],
)
def test_a_layout_is_shown(
    pipe: SimpleNamespace, shape: tuple[int, ...], size: tuple[int, int]
) -> None:
    image = picture_of(pipe, {"latents": torch.randn(shape, dtype=torch.float32)})

    assert (image.mode, image.size) == ("RGB", size)


def test_channels_are_shown_between_their_extremes() -> None:
    latents = torch.zeros(1, 4, 2, 2)
    latents[0, 0] = 7.0

    assert picture_of(UNKNOWN, {"latents": latents}).getpixel((0, 0)) == (255, 0, 0)


def test_half_precision_and_nan_do_no_harm() -> None:
    latents = torch.full((1, 4, 2, 2), float("nan"), dtype=torch.bfloat16)

    assert picture_of(UNKNOWN, {"latents": latents}).size == (256, 256)


@pytest.mark.parametrize("tensors", [{}, {"latents": torch.zeros(1, 64, 16)}])
def test_packed_or_absent_latents_are_not_shown(tensors: dict[str, torch.Tensor]) -> None:
    assert picture_of(UNKNOWN, tensors) is None


def test_what_is_denoised_is_shown_rather_than_what_is_noisy() -> None:
    pipe = SimpleNamespace(decode_preview=lambda latents: latents)

    assert picture_of(pipe, {"latents": "noisy", "denoised": "clean"}) == "clean"


@pytest.mark.parametrize(
    ("pipe", "steps"),
    [
        (SimpleNamespace(num_timesteps=3, scheduler=SimpleNamespace(timesteps=[1, 2, 3, 4])), 3),
        (SimpleNamespace(_num_timesteps=3), 3),
        (SimpleNamespace(scheduler=SimpleNamespace(timesteps=[1, 2, 3, 4])), 4),
        (SimpleNamespace(num_timesteps=None), 0),
    ],
)
def test_the_number_of_steps_is_that_of_the_call(pipe: SimpleNamespace, steps: int) -> None:
    assert steps_of(pipe) == steps
