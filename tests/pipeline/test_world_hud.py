"""Panels in the lower corners show which keys are obeyed."""

import pytest
from PIL import Image, ImageChops

from telefuser_grpc.pipeline.world_hud import draw_controls


def drawn(*keys: str, size: tuple[int, int] = (640, 360)) -> Image.Image:
    image: Image.Image = draw_controls([Image.new("RGB", size, "white")], keys)[0]
    return image


@pytest.mark.parametrize(("keys", "left_half"), [("wasd", True), ("ijkl", False)])
def test_moves_are_lit_at_the_left_and_turns_at_the_right(keys: str, left_half: bool) -> None:
    for key in keys:
        box = ImageChops.difference(drawn(), drawn(key)).getbbox()

        assert box is not None
        assert (box[2] < 320) == left_half
        assert box[1] > 180


def test_each_key_has_a_place_of_its_own() -> None:
    places = {ImageChops.difference(drawn(), drawn(key)).getbbox() for key in "wasdijkl"}

    assert len(places) == 8


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (1280, 704)])
def test_size_of_the_picture_stays(size: tuple[int, int]) -> None:
    assert drawn("w", size=size).size == size


def test_picture_that_was_given_is_not_changed() -> None:
    frame = Image.new("RGB", (64, 64), "white")

    draw_controls([frame], "w")

    assert frame.getcolors() == [(64 * 64, (255, 255, 255))]


def test_nothing_is_drawn_into_nothing() -> None:
    assert draw_controls([], "w") == []
